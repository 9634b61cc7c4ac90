// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

const m = ` # {"$imagepolicy": "ns:app"}`

type findTest struct {
	content  string
	want     []Field
	problems []string
}

func TestFind(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: prod\nspec:\n  containers:\n  - image: app:v1" + m + "\n"
	testFind(t, map[string]findTest{
		"a container": {
			content: deployment,
			want: []Field{{
				File: "f.yaml", Line: 8, Column: 12, Object: "Deployment/prod/web", ID: ObjectID{"apps/v1", "Deployment", "prod", "web"},
				Path: "spec.containers[0].image", Ref: "ns:app", Part: imagev1.PartImage, Value: "app:v1",
			}},
		},
		"the parts": {
			content: "a: x # {\"$imagepolicy\": \"ns:app:name\"}\nb: y # {\"$imagepolicy\":\"ns:app:tag\"}\nc: z #{\"$imagepolicy\" : \"ns:app:digest\"}\n",
			want: []Field{
				{File: "f.yaml", Line: 1, Column: 4, Path: "a", Ref: "ns:app", Part: imagev1.PartName, Value: "x"},
				{File: "f.yaml", Line: 2, Column: 4, Path: "b", Ref: "ns:app", Part: imagev1.PartTag, Value: "y"},
				{File: "f.yaml", Line: 3, Column: 4, Path: "c", Ref: "ns:app", Part: imagev1.PartDigest, Value: "z"},
			},
		},
		"an inline image": {
			content: "kind: X\nmetadata: {name: n}\na: x # {\"$imagepolicy\": \"ns:auto.mation/model\"}\nb: y # {\"$imagepolicy\": \"ns:auto.mation/model:tag\"}\n",
			want: []Field{
				{File: "f.yaml", Line: 3, Column: 4, Object: "X/n", ID: ObjectID{Kind: "X", Name: "n"}, Path: "a", Ref: "ns:auto.mation/model", Part: imagev1.PartImage, Value: "x"},
				{File: "f.yaml", Line: 4, Column: 4, Object: "X/n", ID: ObjectID{Kind: "X", Name: "n"}, Path: "b", Ref: "ns:auto.mation/model", Part: imagev1.PartTag, Value: "y"},
			},
		},
		"other texts in the object, and more number signs": {
			content: `a: x ### {"note": "by hand", "$imagepolicy": "ns:app"}`,
			want:    []Field{{File: "f.yaml", Line: 1, Column: 4, Path: "a", Ref: "ns:app", Part: imagev1.PartImage, Value: "x"}},
		},
		"the comment above an item of a list, and above a value on its own line": {
			content: "l:\n# {\"$imagepolicy\": \"ns:app\"}\n- x\n-\n  # {\"$imagepolicy\": \"ns:app\"}\n  y\n",
			want: []Field{
				{File: "f.yaml", Line: 3, Column: 3, Path: "l[0]", Ref: "ns:app", Part: imagev1.PartImage, Value: "x"},
				{File: "f.yaml", Line: 6, Column: 3, Path: "l[1]", Ref: "ns:app", Part: imagev1.PartImage, Value: "y"},
			},
		},
		"the items of a List": {
			content: "apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n  metadata: {name: a}\n  spec: x" + m + "\n",
			want: []Field{{
				File: "f.yaml", Line: 6, Column: 9, Object: "Pod/a", ID: ObjectID{Kind: "Pod", Name: "a"},
				Path: "spec", Ref: "ns:app", Part: imagev1.PartImage, Value: "x",
			}},
		},
		"keys that need quotes": {
			content: "a.b:\n  \"x y\": v" + m + "\n",
			want:    []Field{{File: "f.yaml", Line: 2, Column: 10, Path: `["a.b"]["x y"]`, Ref: "ns:app", Part: imagev1.PartImage, Value: "v"}},
		},
	})
}

func TestFindLeavesOut(t *testing.T) {
	testFind(t, map[string]findTest{
		"no marker":                      {content: "a: [unparseable"},
		"a comment that is another text": {content: "a: x # {\"$imagepolicy\": \"ns:app\"} see below\n", problems: []string{"f.yaml: has a marker that is not the comment of a scalar"}},
		"another comment wins":           {content: "l:\n# {\"$imagepolicy\": \"ns:app\"}\n- x # why\n", problems: []string{"f.yaml: has a marker that is not the comment of a scalar"}},
		"a value that is not a text":     {content: "a: x # {\"$imagepolicy\": 1}\n", problems: []string{"f.yaml: has a marker that is not the comment of a scalar"}},
		"a marker in a text":             {content: "a: |\n  x" + m + "\n", problems: []string{"f.yaml: has a marker that is not the comment of a scalar"}},
		"above the key":                  {content: "#" + m[2:] + "\na: x\n", problems: []string{"f.yaml:2: the marker is the comment of a key; it belongs behind the value, on its line"}},
		"an alias":                       {content: "a: &x v\nb: *x" + m + "\n", problems: []string{"f.yaml:2: the marked value is an alias; mark the value that has the anchor"}},
		"a mapping in one line": {
			content:  "a: {b: x, c: y}" + m + "\n",
			problems: []string{"f.yaml:1: the marked value is not a scalar; in a list or mapping in one line each marked value needs a line of its own"},
		},
		"a block":   {content: "a: |" + m + "\n  x\n", problems: []string{"f.yaml:1: the marked value is a block; write it in one line"}},
		"a tag":     {content: "a: !!int 1" + m + "\n", problems: []string{"f.yaml:1: the marked value has a tag; a reference is text"}},
		"no value":  {content: "a:" + m + "\n", problems: []string{"f.yaml:1: the marker is the comment of a key; it belongs behind the value, on its line"}},
		"bad names": {content: "a: x # {\"$imagepolicy\": \"NS:app\"}\n", problems: []string{"f.yaml:1: the marker refers to nothing of the form <namespace>:<policy>[:tag|:name|:digest] or <namespace>:<automation>/<image>[:tag|:name|:digest]"}},
	})
}

func testFind(t *testing.T, tests map[string]findTest) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems, err := Find("f.yaml", []byte(test.content))
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, p := range problems {
				texts = append(texts, p.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("fields (-want +got):\n" + diff)
			}
			if diff := cmp.Diff(test.problems, texts); diff != "" {
				t.Error("problems (-want +got):\n" + diff)
			}
		})
	}
}

func TestFindUnreadable(t *testing.T) {
	tests := map[string]struct{ content, want string }{
		"a template":   {"a:\n{{- if x }}\n  b: v" + m, "is a template and not YAML (yaml: line 2: could not find expected ':'): mark its values file instead"},
		"no YAML":      {"a: [\nb: v" + m, "is not YAML: yaml: line 2: did not find expected ',' or ']'"},
		"another code": {"a: \xff" + m, "is not UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := Find("f.yaml", []byte(test.content))
			if err == nil || err.Error() != test.want || got != nil {
				t.Errorf("got %v and error %q, want %q", got, err, test.want)
			}
		})
	}
}
