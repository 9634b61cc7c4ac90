// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package docs holds the documentation to what the code says: fields, reasons,
// flags, examples, links. It needs no cluster.
package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

// root of the repository, seen from this package.
const root = "../.."

// The pages that describe a kind.
const (
	kustomizations  = "kustomize-controller/docs/kustomizations.md"
	gitRepositories = "source-controller/docs/gitrepositories.md"
	gpuQuotas       = "gpu-quota-controller/docs/gpuquotas.md"
	helmReleases    = "helm-controller/docs/helmreleases.md"
	ociRepositories = "source-controller/docs/ocirepositories.md"
	chartIndexes    = "source-controller/docs/helmrepositories.md"
	helmCharts      = "source-controller/docs/helmcharts.md"
	automations     = "image-automation-controller/docs/imageupdateautomations.md"
	imageScans      = "image-automation-controller/docs/imagerepositories.md"
	imagePolicies   = "image-automation-controller/docs/imagepolicies.md"
	observability   = "docs/observability.md"
)

// pages returns every Markdown file of the repository.
func pages(t *testing.T) []*markdown.Page {
	t.Helper()
	all, err := markdown.ReadAll(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d pages, want at least 10: is %s the root of the repository?", len(all), root)
	}
	return all
}

func readPage(t *testing.T, path string) *markdown.Page {
	t.Helper()
	p, err := markdown.Read(root, path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// specPages are those of the kinds, by their paths.
func specPages(t *testing.T) map[string]*markdown.Page {
	t.Helper()
	return map[string]*markdown.Page{
		kustomizations:  readPage(t, kustomizations),
		gitRepositories: readPage(t, gitRepositories),
		gpuQuotas:       readPage(t, gpuQuotas),
		automations:     readPage(t, automations),
		imageScans:      readPage(t, imageScans),
		imagePolicies:   readPage(t, imagePolicies),
		helmReleases:    readPage(t, helmReleases),
		ociRepositories: readPage(t, ociRepositories),
		chartIndexes:    readPage(t, chartIndexes),
		helmCharts:      readPage(t, helmCharts),
	}
}

func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, path))
	return err == nil
}
