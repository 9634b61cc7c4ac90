// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// partFiles are an app and a component that adds a Secret to it.
func partFiles() map[string]string {
	return appWith("app/kustomization.yaml", listing,
		"parts/tls/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [tls.yaml]\n",
		"parts/tls/tls.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\nstringData: {a: b}\n")
}

// TestFieldsAreFluxs compares single fields of a spec with Flux's own build: equal objects, or both fail.
func TestFieldsAreFluxs(t *testing.T) {
	t.Parallel()
	origin, transformer := kustomizev1.BuildMetadataOriginAnnotations, kustomizev1.BuildMetadataTransformerAnnotations
	speedy := map[string]string{"a.yaml": strings.Replace(settings, "fast", `"${speed:=slow}"`, 1)}
	strict := map[string]string{"a.yaml": strings.Replace(settings, "fast", `"${speed}"`, 1)}
	always, withVariables := kustomizev1.SubstituteStrategyAlways, kustomizev1.SubstituteStrategyWithVariables
	post := func(strategy kustomizev1.SubstituteStrategy, values map[string]string) kustomizev1.KustomizationSpec {
		return kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{SubstituteStrategy: strategy, Substitute: values}}
	}
	tests := map[string]struct {
		files map[string]string
		spec  kustomizev1.KustomizationSpec
		fails bool
	}{
		"a component":                      {partFiles(), kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../parts/tls"}}, false},
		"a missing component":              {partFiles(), kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../parts/no"}}, true},
		"a missing component, ignored":     {partFiles(), kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../parts/no", "../parts/tls"}, IgnoreMissingComponents: true}, false},
		"all components missing, ignored":  {partFiles(), kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../parts/no"}, IgnoreMissingComponents: true}, false},
		"a broken component is no missing": {partFiles(), kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../app/sub"}, IgnoreMissingComponents: true}, true},
		"origins":                          {partFiles(), kustomizev1.KustomizationSpec{Path: "app", BuildMetadata: []kustomizev1.BuildMetadataOption{origin}}, false},
		"origins of generated": {
			map[string]string{"kustomization.yaml": head + "configMapGenerator: [{name: a, literals: [b=c]}]\nresources: [a.yaml]\n", "a.yaml": account},
			kustomizev1.KustomizationSpec{BuildMetadata: []kustomizev1.BuildMetadataOption{origin}}, false,
		},
		"origins of what was found": {appWith(), kustomizev1.KustomizationSpec{Path: "app", BuildMetadata: []kustomizev1.BuildMetadataOption{origin}}, false},
		"transformers":              {partFiles(), kustomizev1.KustomizationSpec{Path: "app", NamePrefix: "x-", BuildMetadata: []kustomizev1.BuildMetadataOption{transformer}}, false},
		"both": {
			partFiles(),
			kustomizev1.KustomizationSpec{Path: "app", Images: webImage(), Patches: []meta.Patch{{Patch: "kind: any\nmetadata: {name: any, labels: {a: b}}\n", Target: &meta.Selector{Kind: "Service"}}},
				BuildMetadata: []kustomizev1.BuildMetadataOption{origin, transformer}}, false,
		},
		"over those of the file": {
			appWith("app/kustomization.yaml", listing+"buildMetadata: [transformerAnnotations]\nnamePrefix: x-\n"),
			kustomizev1.KustomizationSpec{Path: "app", BuildMetadata: []kustomizev1.BuildMetadataOption{origin}}, false,
		},
		"variables, none":                        {speedy, post("", nil), false},
		"variables, none, WithVariables":         {speedy, post(withVariables, nil), false},
		"variables, none, Always":                {speedy, post(always, nil), false},
		"variables, one":                         {speedy, post("", map[string]string{"a": "b"}), false},
		"variables, one, Always":                 {speedy, post(always, map[string]string{"speed": "x"}), false},
		"a missing variable, none":               {strict, post("", nil), false},
		"a missing variable, none, Always":       {strict, post(always, nil), true},
		"a missing variable, one":                {strict, post("", map[string]string{"a": "b"}), true},
		"a value that is YAML":                   {strict, post("", map[string]string{"speed": "{a: b}"}), false},
		"a value that would begin a document":    {strict, post("", map[string]string{"speed": "a\n---\nkind: Secret"}), true},
		"a value that would add a key":           {strict, post("", map[string]string{"speed": "a\nother: b"}), true},
		"a value that would add a key in braces": {map[string]string{"a.yaml": strings.Replace(settings, "fast", `"{${speed}}"`, 1)}, post("", map[string]string{"speed": "a: b, c: d"}), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, wantErr := reference(t.Context(), t, maps.Clone(tc.files), tc.spec)
			got, err := build(t, Options{}, tc.files, tc.spec)
			if (wantErr != nil) != tc.fails || (err != nil) != tc.fails {
				t.Fatalf("Flux: %v\nours: %v\nwant that both fail: %t", wantErr, err, tc.fails)
			}
			if tc.fails {
				return
			}
			if diff := cmp.Diff(contents(want), contents(got.Objects)); diff != "" {
				t.Errorf("not what Flux builds (-flux +ours):\n%s", diff)
			}
		})
	}
}
