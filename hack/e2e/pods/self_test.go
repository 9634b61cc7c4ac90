// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weir-gitops/weir/hack/platform"
)

// The versions that Weir is upgraded from and to.
const (
	release     = "v0.1.0"
	nextRelease = "v0.1.1"
	releaseFile = "bootstrap/components/release/kustomization.yaml"
)

// own has Weir manage itself from a repository of the test.
const own = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [bootstrap/self]
patches:
  - target: {kind: GitRepository}
    patch: |
      - {op: replace, path: /spec/url, value: @URL@}
      - {op: replace, path: /spec/ref, value: {branch: main}}
      - {op: replace, path: /spec/interval, value: 1s}
  - target: {kind: Kustomization}
    patch: |
      - {op: replace, path: /spec/path, value: ./bootstrap/high-availability}
`

// TestWeirManagesItself installs the overlay for high availability, hands it over
// to itself, and upgrades it by a commit: every Deployment gets the new images,
// no CRD is made anew, and a workload goes on.
func TestWeirManagesItself(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	p, err := site.StartPodsBeside(ctx, "high-availability")
	if err == nil {
		err = p.ServeGit(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	checkout := shipped(t, p)
	repo, err := p.AddRepository(ctx, "weir", os.DirFS(checkout))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, ctx: ctx, site: p, name: platform.Namespace, repo: repo}
	t.Cleanup(func() {
		if t.Failed() {
			r.diagnose(context.WithoutCancel(ctx))
		}
	})
	begin := r.push(platform.Change{Message: "Begin with " + release})
	if err := os.WriteFile(filepath.Join(checkout, "kustomization.yaml"), []byte(strings.ReplaceAll(own, "@URL@", repo.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.kubectl("apply", "--server-side", "-k", checkout)
	r.awaitReady("kustomization/weir", platform.Revision(begin))
	crds := r.kubectl("get", "crds", "--output=jsonpath={.items[*].metadata.uid}")

	change := platform.Change{Message: "Upgrade to " + nextRelease, Edits: []platform.Edit{{Path: releaseFile, Old: release, New: nextRelease}}}
	for _, controller := range platform.Programs() {
		retag(ctx, t, p.Cluster.Node().Registry+"/weir-gitops/"+controller)
		change.Edits = append(change.Edits, platform.Edit{Path: controller + "/config/manager/deployment.yaml", Old: release, New: nextRelease})
	}
	upgrade := r.push(change)
	r.awaitReady("kustomization/weir", platform.Revision(upgrade))
	if err := p.AwaitPods(ctx); err != nil {
		t.Fatal(err)
	}
	images := r.kubectl("get", "deployments", "--namespace="+platform.Namespace, "--output=jsonpath={.items[*].spec.template.spec.containers[*].image}")
	for image := range strings.FieldsSeq(images) {
		if !strings.HasSuffix(image, ":"+nextRelease) {
			t.Errorf("a Deployment runs %s still", image)
		}
	}
	if after := r.kubectl("get", "crds", "--output=jsonpath={.items[*].metadata.uid}"); after != crds {
		t.Errorf("the CRDs were %s and are %s", crds, after)
	}
	// It corrects itself as it does everything else.
	r.kubectl("delete", "service/source-controller", "--namespace="+platform.Namespace)
	r.awaitText("source-controller", "get", "service/source-controller", "--namespace="+platform.Namespace, "--output=name")
}

// shipped copies what a release of Weir has for an installation, and returns the
// directory.
func shipped(t *testing.T, p *platform.Platform) string {
	t.Helper()
	dir := t.TempDir()
	folders := []string{"bootstrap"}
	for _, controller := range platform.Programs() {
		folders = append(folders, filepath.Join(controller, "config"))
	}
	for _, folder := range folders {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(p.Root(), folder))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// retag offers the images of a repository as the next release, too.
func retag(ctx context.Context, t *testing.T, repository string) {
	t.Helper()
	from, err := name.NewTag(repository+":"+release, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	found, err := remote.Get(from, remote.WithContext(ctx))
	if err == nil {
		err = remote.Tag(from.Context().Tag(nextRelease), found, remote.WithContext(ctx))
	}
	if err != nil {
		t.Fatal(err)
	}
}
