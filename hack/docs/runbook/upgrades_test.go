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
		"|| [ $? -eq 1 ]\nkubectl apply": {after: func(t *testing.T, w *world, _ string) { w.ready(t) }},
		"kubectl get -A -o name -l": {
			before: func(t *testing.T, w *world) {
				w.run(t, "kubectl -n weir-system create serviceaccount left\nkubectl -n weir-system label serviceaccount left "+older)
			},
			after: func(t *testing.T, w *world, printed string) {
				if printed != "serviceaccount/left\n" {
					t.Errorf("of an older version are not this account alone, but\n%s", printed)
				}
				w.run(t, "kubectl -n weir-system delete serviceaccount left")
			},
		},
		"apply --server-side --force-conflicts -k self": {
			after: func(t *testing.T, w *world, _ string) { w.version(t, "registry.example.com/weir/", "v0.1.0") },
		},
		`"tag":"v0.1.1"`: {after: func(t *testing.T, w *world, _ string) {
			w.version(t, "registry.example.com/weir/", "v0.1.1")
			w.run(t, "kubectl -n weir-system scale deployment helm-controller --replicas=3")
			w.replicas(t, platform.Namespace, "helm-controller", 1)
		}},
		`patch kustomization weir --type=merge -p '{"spec":{"suspend":true}}'`: {after: func(t *testing.T, w *world, _ string) {
			w.run(t, "kubectl -n weir-system scale deployment helm-controller --replicas=2")
		}},
		"delete --ignore-not-found -k self": {
			before: func(t *testing.T, w *world) { w.keeps(t, platform.Namespace, "helm-controller", 2) },
			after: func(t *testing.T, w *world, _ string) {
				w.version(t, "registry.example.com/weir/", "v0.1.1")
				w.ready(t)
			},
		},
		"STORED:.status": {after: prints("kustomizations.kustomize.toolkit.fluxcd.io", "[v1]", "[v1alpha1]")},
		"kubectl diff --server-side --force-conflicts -f -": {
			before: func(t *testing.T, w *world) { w.run(t, newer) },
			after: func(t *testing.T, w *world, printed string) {
				contains(t, printed, "waitLonger:")
				w.run(t, "kubectl apply --server-side --force-conflicts -k bootstrap")
			},
		},
	}
}

const (
	// older are the labels of what an older version of Weir has brought.
	older = "app.kubernetes.io/component=controller app.kubernetes.io/part-of=weir app.kubernetes.io/version=v0.0.9"
	// newer installs CRDs with a field more.
	newer = `kubectl kustomize bootstrap | sed 's/^\( *\)wait:$/\1waitLonger:\n\1  type: boolean\n&/' > newer.yaml
grep -q waitLonger newer.yaml
kubectl apply --server-side --force-conflicts -f newer.yaml`
)

// version waits until all Deployments of Weir are those of a release, with images
// from a registry.
func (w *world) version(t *testing.T, registry, want string) {
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
			if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasPrefix(image, registry) || !strings.HasSuffix(image, ":"+want) {
				return fmt.Errorf("the Deployment %s has the image %s", d.Name, image)
			}
		}
		return nil
	})
}

// mirror serves what the installation is made of, as two releases of which only
// the version differs, with an overlay of its owner's.
func mirror(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.Dir(), "mirrors")
	repo, err := testkit.NewGitRepo(t.Context(), filepath.Join(dir, "weir.git"))
	if err != nil {
		t.Fatal(err)
	}
	files := installation(t)
	files["bootstrap/acme/kustomization.yaml"] = acme
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

// acme is bootstrap with images from a registry.
const acme = `resources: [../base, ../cluster-admin]
images:
  - {name: ghcr.io/weir-gitops/source-controller, newName: registry.example.com/weir/source-controller}
  - {name: ghcr.io/weir-gitops/kustomize-controller, newName: registry.example.com/weir/kustomize-controller}
  - {name: ghcr.io/weir-gitops/helm-controller, newName: registry.example.com/weir/helm-controller}
  - {name: ghcr.io/weir-gitops/gpu-quota-controller, newName: registry.example.com/weir/gpu-quota-controller}
  - {name: ghcr.io/weir-gitops/image-automation-controller, newName: registry.example.com/weir/image-automation-controller}
sortOptions: {order: fifo}
`

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
