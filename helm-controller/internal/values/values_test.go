// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package values_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
)

// objects by kind and name.
type objects map[string]map[string]string

func (o objects) read(_ context.Context, kind, name string) (map[string][]byte, string, error) {
	if name == "forbidden" {
		return nil, "", errors.New("forbidden")
	}
	content, ok := o[kind+"/"+name]
	if !ok {
		return nil, "", apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
	}
	data := map[string][]byte{}
	for key, value := range content {
		data[key] = []byte(value)
	}
	return data, "version of " + name, nil
}

// set knows a path of one name, and shows what it was given.
func set(into map[string]any, assignment string, text bool) error {
	path, value, _ := strings.Cut(assignment, "=")
	if value == "refused" {
		return errors.New("cannot parse refused")
	}
	into[path] = value
	if text {
		into[path] = "text " + value
	}
	return nil
}

func release(inline string, refs ...helmv2.ValuesReference) *helmv2.HelmRelease {
	obj := &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "app"}, Spec: helmv2.HelmReleaseSpec{ValuesFrom: refs}}
	if inline != "" {
		obj.Spec.Values = &apiextensionsv1.JSON{Raw: []byte(inline)}
	}
	return obj
}

func TestMerge(t *testing.T) {
	world := objects{
		"ConfigMap/base": {"values.yaml": "a: 1\nb: {c: base, d: base}\nl: [1, 2]\n", "other": "b: {d: other}\n", "empty": "", "text": "x,y"},
		"Secret/top":     {"values.yaml": "b: {c: secret, s: {deep: secret}}\nl: [secret, {k: secret}]\n", "password": "secret", "quoted": `"1"`, "refused": "refused"},
	}
	base, top := helmv2.ValuesReference{Kind: "ConfigMap", Name: "base"}, helmv2.ValuesReference{Kind: "Secret", Name: "top"}
	ref := func(r helmv2.ValuesReference, key, path string) helmv2.ValuesReference {
		r.ValuesKey, r.TargetPath = key, path
		return r
	}
	optional := func(r helmv2.ValuesReference) helmv2.ValuesReference { r.Optional = true; return r }
	literal := func(r helmv2.ValuesReference) helmv2.ValuesReference { r.Literal = true; return r }
	gone := helmv2.ValuesReference{Kind: "Secret", Name: "gone"}
	for name, tc := range map[string]struct {
		inline           string
		refs             []helmv2.ValuesReference
		want, wantMasked string
		wantErr          string
		reads            []values.Read
	}{
		"nothing":                  {want: `{}`},
		"the spec alone":           {inline: `{"a":{"b":1}}`, want: `{"a":{"b":1}}`},
		"a reference":              {refs: []helmv2.ValuesReference{base}, want: `{"a":1,"b":{"c":"base","d":"base"},"l":[1,2]}`, reads: []values.Read{{Kind: "ConfigMap", Name: "base", Version: "version of base"}}},
		"later ones win, and maps": {refs: []helmv2.ValuesReference{base, ref(base, "other", "")}, want: `{"a":1,"b":{"c":"base","d":"other"},"l":[1,2]}`, reads: []values.Read{{Kind: "ConfigMap", Name: "base", Version: "version of base"}}},
		"secrets are masked, and what is over them is not": {inline: `{"b":{"c":"spec"}}`, refs: []helmv2.ValuesReference{base, top},
			want:       `{"a":1,"b":{"c":"spec","d":"base","s":{"deep":"secret"}},"l":["secret",{"k":"secret"}]}`,
			wantMasked: `{"a":1,"b":{"c":"spec","d":"base","s":{"deep":"**********"}},"l":["**********",{"k":"**********"}]}`,
			reads:      []values.Read{{Kind: "ConfigMap", Name: "base", Version: "version of base"}, {Kind: "Secret", Name: "top", Version: "version of top"}}},
		"null takes away":          {inline: `{"b":null}`, refs: []helmv2.ValuesReference{base}, want: `{"a":1,"b":null,"l":[1,2]}`},
		"a path":                   {refs: []helmv2.ValuesReference{ref(top, "password", "p")}, want: `{"p":"secret"}`, wantMasked: `{"p":"text **********"}`},
		"a path that the spec has": {inline: `{"p":1}`, refs: []helmv2.ValuesReference{ref(top, "password", "p")}, want: `{"p":1}`},
		"a quoted value":           {refs: []helmv2.ValuesReference{ref(top, "quoted", "p")}, want: `{"p":"text 1"}`, wantMasked: `{"p":"text **********"}`},
		"a literal value":          {refs: []helmv2.ValuesReference{literal(ref(base, "text", "p"))}, want: `{"p":"text x\\,y"}`},
		"an empty document":        {refs: []helmv2.ValuesReference{ref(base, "empty", "")}, want: `{}`},
		"an optional object":       {refs: []helmv2.ValuesReference{optional(gone), optional(gone)}, want: `{}`, reads: []values.Read{{Kind: "Secret", Name: "gone"}}},
		"an optional key":          {refs: []helmv2.ValuesReference{optional(ref(top, "gone", ""))}, want: `{}`},
		"no object": {refs: []helmv2.ValuesReference{gone}, wantErr: "could not resolve Secret chart values reference 'team/gone' with key 'values.yaml': resource not found",
			reads: []values.Read{{Kind: "Secret", Name: "gone"}}},
		"no key":          {refs: []helmv2.ValuesReference{ref(top, "gone", "")}, wantErr: "could not resolve Secret chart values reference 'team/top' with key 'gone': key not found"},
		"no map":          {refs: []helmv2.ValuesReference{ref(top, "password", "")}, wantErr: "could not resolve Secret chart values reference 'team/top' with key 'password': its content is not a YAML map"},
		"no permission":   {refs: []helmv2.ValuesReference{optional(helmv2.ValuesReference{Kind: "Secret", Name: "forbidden"})}, wantErr: "read Secret team/forbidden for values: forbidden"},
		"no way to set":   {refs: []helmv2.ValuesReference{ref(top, "refused", "p")}, wantErr: "could not resolve Secret chart values reference 'team/top' with key 'refused': its content cannot be set at p: "},
		"no valid inline": {inline: `[1]`, wantErr: "could not read spec.values: it is not a map"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := release(tc.inline, tc.refs...)
			got, reads, err := values.Merge(t.Context(), world.read, set, obj)
			if tc.reads != nil {
				if diff := cmp.Diff(tc.reads, reads); diff != "" {
					t.Errorf("reads (-want +got):\n%s", diff)
				}
			}
			if tc.wantErr != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.wantErr) || strings.Contains(strings.ReplaceAll(err.Error(), "'refused'", ""), "refused") {
					t.Errorf("the error is %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || encode(t, got) != tc.want {
				t.Fatalf("merged %s, %v, want %s", encode(t, got), err, tc.want)
			}
			masked, err := values.Mask(t.Context(), world.read, set, obj)
			if tc.wantMasked == "" {
				tc.wantMasked = tc.want
			}
			if err != nil || encode(t, masked) != tc.wantMasked {
				t.Errorf("masked %s, %v, want %s", encode(t, masked), err, tc.wantMasked)
			}
		})
	}
}

func encode(t *testing.T, merged map[string]any) string {
	t.Helper()
	out, err := json.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestBounds feeds what would take all memory.
func TestBounds(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'n'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 8) + "*" + string(c-1) + "]\n"
	}
	for name, tc := range map[string]struct{ text, want string }{
		"aliases": {bomb, "its content is not a YAML map"},
		"itself":  {"a: &a [*a]", "its content is not a YAML map"},
		"size":    {"a: " + strings.Repeat("x", values.MaxSize), "the values are larger than 8 MiB in all"},
	} {
		t.Run(name, func(t *testing.T) {
			world := objects{"Secret/big": {"values.yaml": tc.text}}
			_, _, err := values.Merge(t.Context(), world.read, set, release("", helmv2.ValuesReference{Kind: "Secret", Name: "big"}))
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 300 {
				t.Errorf("the error is %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzMerge merges any two documents: no panic, the later one wins, and what is
// masked has no more than its keys.
func FuzzMerge(f *testing.F) {
	f.Add("a: 1\nb: {c: [d]}\n", "b: {c: secret-text}\n")
	f.Add("a: &a {b: c}\nd: *a\n", "a: null\n")
	f.Fuzz(func(t *testing.T, below, above string) {
		world := objects{"ConfigMap/below": {"values.yaml": below}, "Secret/above": {"values.yaml": above}}
		obj := release("", helmv2.ValuesReference{Kind: "ConfigMap", Name: "below"}, helmv2.ValuesReference{Kind: "Secret", Name: "above"})
		merged, _, err := values.Merge(t.Context(), world.read, set, obj)
		masked, maskErr := values.Mask(t.Context(), world.read, set, obj)
		if (err == nil) != (maskErr == nil) {
			t.Fatalf("merging says %v, and masking %v", err, maskErr)
		}
		if err != nil {
			return
		}
		obj.Spec.ValuesFrom = obj.Spec.ValuesFrom[1:]
		over, _, err := values.Merge(t.Context(), world.read, set, obj)
		if err != nil {
			t.Fatal(err)
		}
		if again := values.Overlay(merged, over); encode(t, again) != encode(t, merged) {
			t.Errorf("merged once %s, and twice %s", encode(t, merged), encode(t, again))
		}
		for key := range merged {
			if _, ok := masked[key]; !ok {
				t.Errorf("key %q is not shown", key)
			}
		}
	})
}
