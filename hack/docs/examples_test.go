// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"regexp"
	"strings"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/docs/markdown"
)

// ours makes an empty object of each kind that Weir has.
var ours = map[string]func() any{
	"kustomize.toolkit.fluxcd.io/v1 Kustomization": func() any { return &kustomizev1.Kustomization{} },
	"source.toolkit.fluxcd.io/v1 GitRepository":    func() any { return &sourcev1.GitRepository{} },

	"helm.toolkit.fluxcd.io/v2 HelmRelease":      func() any { return &helmv2.HelmRelease{} },
	"source.toolkit.fluxcd.io/v1 HelmRepository": func() any { return &sourcev1.HelmRepository{} },
	"source.toolkit.fluxcd.io/v1 HelmChart":      func() any { return &sourcev1.HelmChart{} },
	"source.toolkit.fluxcd.io/v1 OCIRepository":  func() any { return &sourcev1.OCIRepository{} },

	"image.toolkit.fluxcd.io/v1 ImageUpdateAutomation": func() any { return &imagev1.ImageUpdateAutomation{} },
	"image.toolkit.fluxcd.io/v1 ImageRepository":       func() any { return &imagev1.ImageRepository{} },
	"image.toolkit.fluxcd.io/v1 ImagePolicy":           func() any { return &imagev1.ImagePolicy{} },
}

// TestExamplesDecode decodes the YAML of all pages, and the objects of Weir's
// kinds strictly: a field that does not exist is an error. On the page of a
// kind, a fragment without apiVersion is part of that kind.
func TestExamplesDecode(t *testing.T) {
	fragments := map[string]string{
		kustomizations:  "kustomize.toolkit.fluxcd.io/v1 Kustomization",
		gitRepositories: "source.toolkit.fluxcd.io/v1 GitRepository",
		automations:     "image.toolkit.fluxcd.io/v1 ImageUpdateAutomation",
		helmReleases:    "helm.toolkit.fluxcd.io/v2 HelmRelease",
	}
	decoded := 0
	for _, p := range pages(t) {
		for _, b := range p.Blocks {
			if b.Language != "yaml" {
				continue
			}
			for document := range strings.SplitSeq(b.Text, "\n---\n") {
				if checkExample(t, p.Path, document, fragments[p.Path]) {
					decoded++
				}
			}
		}
	}
	if decoded == 0 {
		t.Error("no page has an example")
	}
}

// checkExample reports whether the document was one of Weir's kinds.
func checkExample(t *testing.T, path, document, fragmentOf string) bool {
	t.Helper()
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		t.Errorf("%s: an example is not YAML: %v\n%s", path, err, document)
		return false
	}
	kind := head.APIVersion + " " + head.Kind
	if head.APIVersion == "" && head.Kind == "" {
		kind = fragmentOf
	}
	empty, known := ours[kind]
	if !known {
		if strings.Contains(head.APIVersion, ".toolkit.fluxcd.io/") {
			t.Errorf("%s: an example is of the kind %s, which Weir does not have", path, kind)
		}
		return false
	}
	if err := yaml.UnmarshalStrict([]byte(document), empty()); err != nil {
		t.Errorf("%s: an example is not a valid %s: %v\n%s", path, kind, err, document)
	}
	return true
}

// quoted is what a command has in quotes: settings, and no target.
var quoted = regexp.MustCompile(`"[^"\n]*"`)

var makeCommand = regexp.MustCompile(`\bmake((?: +[-A-Za-z0-9_="$]+)+)`)

// TestMakeTargetsExist looks for every target that a page tells the reader to
// make.
func TestMakeTargetsExist(t *testing.T) {
	targets := makeTargets(t)
	found := 0
	for _, p := range pages(t) {
		text := markdown.Code(p.Prose)
		for _, b := range p.Blocks {
			if b.Language == "sh" || b.Language == "console" {
				text += "\n" + b.Text
			}
		}
		for _, match := range makeCommand.FindAllStringSubmatch(quoted.ReplaceAllString(text, ""), -1) {
			for target := range strings.FieldsSeq(match[1]) {
				if strings.HasPrefix(target, "-") || strings.Contains(target, "=") {
					continue
				}
				found++
				if !targets[target] {
					t.Errorf("%s: make %s: there is no such target", p.Path, target)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names a target")
	}
}
