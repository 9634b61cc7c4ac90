// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// mirrored is where the page says that a mirror of Weir's repository is.
const mirrored = "https://git.example.com/mirrors/weir.git"

// upgrades are what happens around the commands of docs/upgrade.md.
func upgrades() map[string]deed {
	return map[string]deed{
		"kubectl diff --server-side":                    {after: func(t *testing.T, w *world, _ string) { w.ready(t) }},
		"apply --server-side --force-conflicts -k self": {after: func(t *testing.T, w *world, _ string) { w.version(t, "v0.1.0") }},
		`"tag":"v0.1.1"`: {after: func(t *testing.T, w *world, _ string) {
			w.version(t, "v0.1.1")
			w.run(t, "kubectl -n weir-system scale deployment helm-controller --replicas=3")
			w.replicas(t, platform.Namespace, "helm-controller", 1)
		}},
		`patch kustomization weir --type=merge -p '{"spec":{"suspend":true}}'`: {after: func(t *testing.T, w *world, _ string) {
			w.run(t, "kubectl -n weir-system scale deployment helm-controller --replicas=2")
		}},
		"delete --ignore-not-found -k self": {
			before: func(t *testing.T, w *world) { w.keeps(t, platform.Namespace, "helm-controller", 2) },
			after: func(t *testing.T, w *world, _ string) {
				w.version(t, "v0.1.1")
				w.ready(t)
			},
		},
		"bootstrap --dry-run=server": {after: prints("deployment.apps/kustomize-controller serverside-applied (server dry run)")},
		"STORED:.status":             {after: prints("kustomizations.kustomize.toolkit.fluxcd.io", "[v1]", "[v1alpha1]")},
	}
}

// version waits until all Deployments of Weir are those of a release.
func (w *world) version(t *testing.T, want string) {
	t.Helper()
	w.await(t, "release "+want, func(ctx context.Context) error {
		list, err := w.core.AppsV1().Deployments(platform.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != len(platform.Programs()) {
			return fmt.Errorf("there are %d Deployments", len(list.Items))
		}
		for i := range list.Items {
			d := &list.Items[i]
			if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+want) {
				return fmt.Errorf("the Deployment %s has the image %s", d.Name, image)
			}
		}
		return nil
	})
}

// mirror serves what the installation is made of, as two releases of which only
// the version differs.
func mirror(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.Dir(), "mirrors")
	repo, err := testkit.NewGitRepo(t.Context(), filepath.Join(dir, "weir.git"))
	if err != nil {
		t.Fatal(err)
	}
	files := installation(t)
	for _, tag := range []string{"v0.1.0", "v0.1.1"} {
		contents := map[string]string{}
		for path, text := range files {
			contents[path] = strings.ReplaceAll(text, "v0.1.0", tag)
		}
		commit, err := repo.Commit(t.Context(), testkit.GitCommit{Message: "Release " + tag, Files: testkit.Files(contents)})
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Tag(t.Context(), tag, commit, ""); err != nil {
			t.Fatal(err)
		}
	}
	server, err := testkit.NewGitServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.servers = append(w.servers, server)
	w.replace = append(w.replace, mirrored, server.URL+"/weir.git")
}

// installation is bootstrap with what it refers to.
func installation(t *testing.T) map[string]string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(root, "*-controller", "config"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, folder := range append(folders, filepath.Join(root, "bootstrap")) {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			files[name] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
