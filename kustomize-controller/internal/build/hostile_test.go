// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// numbered repeats a text with a number in it.
func numbered(format string, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

func nested(depth int) string {
	return "apiVersion: v1\nkind: X\nmetadata: {name: d}\nspec: " + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "\n"
}

const (
	document1  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {a: \"${x:=y}\"}\n---\n"
	mapHead    = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
	wideFault  = "it has a map with more than 10000 keys"
	bombFault  = "its YAML aliases expand to more than 250000 nodes"
	depthFault = "exceeded max depth of 10000"
)

// TestLargeInputs are built by every way within bounds, or refused for what is wrong with them.
func TestLargeInputs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files   map[string]string
		objects int
		fault   string
	}{
		"an object of 10 MB":            {map[string]string{"a.yaml": mapHead + "  a: " + strings.Repeat("x", 10<<20) + "\n"}, 1, ""},
		"100,000 lines of text":         {map[string]string{"a.yaml": mapHead + "  a: |\n" + numbered("    line %d\n", 100_000)}, 1, ""},
		"100,000 lines of a list":       {map[string]string{"a.yaml": "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n" + numbered("- %d\n", 100_000)}, 1, ""},
		"100,000 keys":                  {map[string]string{"a.yaml": mapHead + numbered("  k%d: v\n", 100_000)}, 0, "decode a.yaml: " + wideFault},
		"many keys in braces":           {map[string]string{"a.yaml": mapHead + "  {" + numbered("k%d, ", 10_001) + "}\n"}, 0, "decode a.yaml: " + wideFault},
		"as many keys as there may be":  {map[string]string{"a.yaml": mapHead + numbered("  k%d: v\n", 2_000)}, 1, ""},
		"many documents":                {map[string]string{"a.yaml": numbered(document1, 600)}, 600, ""},
		"more documents than there may": {map[string]string{"a.yaml": numbered(document1, maxObjects+1)}, 0, "resources in kustomization.yaml: with a.yaml there are more than 20000 objects; split this Kustomization"},
		"deep":                          {map[string]string{"a.yaml": nested(5000)}, 1, ""},
		"too deep":                      {map[string]string{"a.yaml": nested(20_000)}, 0, "decode a.yaml: line 4: " + depthFault},
		"a bomb":                        {map[string]string{"a.yaml": bomb()}, 0, "decode a.yaml: " + bombFault},
		"a bomb for a kustomization":    {map[string]string{"kustomization.yaml": bomb()}, 0, "decode kustomization.yaml: document contains excessive aliasing"},
		"a deep kustomization":          {map[string]string{"kustomization.yaml": nested(20_000)}, 0, "decode kustomization.yaml: line 4: " + depthFault},
		"a bomb for a base": {
			map[string]string{"kustomization.yaml": head + "resources: [b]\n", "b/kustomization.yaml": bomb()}, 0,
			"decode b/kustomization.yaml: document contains excessive aliasing",
		},
		"a wide patch": {
			map[string]string{"kustomization.yaml": head + "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml": settings, "p.yaml": mapHead + numbered("  k%d: v\n", 20_000)},
			0, "patches in kustomization.yaml: read p.yaml: " + wideFault,
		},
		"a wide file as data": {
			map[string]string{"kustomization.yaml": head + "configMapGenerator: [{name: a, files: [vocabulary.json]}]\n", "vocabulary.json": "{" + numbered("\"word%d\": 1,\n", 20_000) + "\"end\": 1}"},
			1, "",
		},
		"a kustomization that lists itself": {
			map[string]string{"kustomization.yaml": head + "resources: [.]\n"}, 0,
			`resources in kustomization.yaml: "." is a cycle, because the root of the source contains kustomization.yaml, which refers to it`,
		},
	}
	specs := map[string]kustomizev1.KustomizationSpec{
		"as it is": {}, "renamed": {NameSuffix: "-x"}, "with variables": variables(map[string]string{"x": "z"}),
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := lay(t, tc.files)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			for way, spec := range specs {
				result, err := New(Options{}).Build(ctx, request(root, spec))
				switch {
				case tc.fault != "" && (err == nil || err.Error() != tc.fault):
					t.Errorf("%s: error %.300v, want %s", way, err, tc.fault)
				case tc.fault == "" && err != nil:
					t.Errorf("%s: %.300v", way, err)
				case tc.fault == "" && len(result.Objects) != tc.objects:
					t.Errorf("%s: %d objects, want %d", way, len(result.Objects), tc.objects)
				}
			}
		})
	}
}

func TestHostilePatchesOfTheSpec(t *testing.T) {
	t.Parallel()
	for want, patch := range map[string]string{"spec.patches: " + wideFault: mapHead + numbered("  k%d: v\n", 20_000), "spec.patches: " + bombFault: bomb()} {
		_, err := build(t, Options{}, map[string]string{"a.yaml": settings}, kustomizev1.KustomizationSpec{Patches: []meta.Patch{{Patch: patch}}})
		if err == nil || err.Error() != want {
			t.Errorf("error %.300v, want %s", err, want)
		}
	}
}

// TestManyObjectsAreBuiltApart: what keeps kustomize busy for long must not keep others waiting, and ends some time.
func TestManyObjectsAreBuiltApart(t *testing.T) {
	t.Parallel()
	files := overlayFiles()
	files["many/a.yaml"] = numbered(document1, maxInProcess+1)
	root := lay(t, files)
	many := request(root, kustomizev1.KustomizationSpec{Path: "many", NamePrefix: "x-"})
	result, err := New(Options{Worker: worker(t)}).Build(t.Context(), many)
	if err != nil || len(result.Objects) != maxInProcess+1 || result.Objects[0].GetName() != "x-c0" || result.Origins[1] != "many/a.yaml:6" {
		t.Fatalf("%.300v", err)
	}
	if result.Reads != nil {
		t.Error("nobody knows what another process has read")
	}
	_, err = New(Options{Worker: worker(t), WorkerTimeout: time.Millisecond}).Build(t.Context(), many)
	want := "kustomize build of many: it takes more than 1ms; a remote base may not answer, or there are too many objects"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
