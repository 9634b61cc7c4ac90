// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"

	sdk "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"

	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
)

const sourceLine = "# Source: "

// postRender has the chain change manifest and hooks. What it left is read
// again, since a patch can give a hook another weight, and can make a hook of an
// object and the other way round.
func postRender(chain *postrender.Chain, manifest string, hooks []*sdk.Hook) (string, []*sdk.Hook, error) {
	in := make([]postrender.Hook, len(hooks))
	for i, hook := range hooks {
		in[i] = postrender.Hook{Name: hook.Name, Path: hook.Path, Manifest: hook.Manifest}
	}
	changed, out, err := chain.Run([]byte(manifest), in)
	if err != nil {
		return "", nil, err
	}
	files := map[string]string{}
	for _, hook := range out {
		files[hook.Path] += "\n---\n" + hook.Manifest
	}
	manifest = string(changed)
	if strings.Contains(manifest, sdk.HookAnnotation) {
		addDocuments(files, manifest)
		manifest = ""
	}
	hooks, others, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return "", nil, err
	}
	return manifest + join(others), hooks, nil
}

// addDocuments adds the documents of a manifest to the files that they are from.
func addDocuments(files map[string]string, manifest string) {
	for document := range strings.SplitSeq("\n"+manifest, "\n---\n") {
		path := ""
		if rest, ok := strings.CutPrefix(document, sourceLine); ok {
			path, document, _ = strings.Cut(rest, "\n")
		}
		if strings.TrimSpace(document) != "" {
			files[path] += "\n---\n" + document
		}
	}
}
