// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

const services = `# Model servers.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: fraud
  namespace: ml
  annotations:
    a.b/image: ghcr.io/org/side:1
spec:
  predictor:
    model: {storageUri: "oci://ghcr.io/org/fraud:1.0", runtime: triton}
    containers:
    - image: &img ghcr.io/org/app:1
    - image: *img
    more: &more [*img]
    again: *more
---
kind: ConfigMap
metadata: {name: values}
image:
  repository: ghcr.io/org/fraud
  tag: 1.10
  lines: |
    text
defaults: &d
  tag: x
worker:
  <<: *d
  tag: y
  tag: z
other:
  <<: *d
named: &n ghcr.io/org/fraud
copy: *n
empty:
`

type locateTest struct {
	target  imagev1.Target
	content string
	want    Field
	err     string
}

const fraud = "InferenceService/fraud"

func TestLocate(t *testing.T) {
	testLocate(t, map[string]locateTest{
		"storageUri": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Object: fraud, Path: "spec.predictor.model.storageUri"},
			want:   Field{Line: 11, Column: 25, Path: "spec.predictor.model.storageUri", Part: imagev1.PartImage, Value: "oci://ghcr.io/org/fraud:1.0"},
		},
		"an index, and an anchor at the place itself": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Object: fraud, Path: "spec.predictor.containers[0].image", Part: imagev1.PartName},
			want:   Field{Line: 13, Column: 14, Path: "spec.predictor.containers[0].image", Part: imagev1.PartName, Value: "ghcr.io/org/app:1"},
		},
		"a name in quotes": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Object: fraud, Path: `metadata.annotations["a.b/image"]`},
			want:   Field{Line: 8, Column: 16, Path: `metadata.annotations["a.b/image"]`, Part: imagev1.PartImage, Value: "ghcr.io/org/side:1"},
		},
		"a tag beside its repository": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Object: "ConfigMap/values", Path: "image.tag", Part: imagev1.PartTag, RepositoryPath: "image.repository"},
			want:   Field{Line: 22, Column: 8, Path: "image.tag", Part: imagev1.PartTag, Value: "1.10", Repository: "ghcr.io/org/fraud"},
		},
		"a repository behind an alias": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Object: "ConfigMap/values", Path: "image.tag", Part: imagev1.PartTag, RepositoryPath: "copy"},
			want:   Field{Line: 22, Column: 8, Path: "image.tag", Part: imagev1.PartTag, Value: "1.10", Repository: "ghcr.io/org/fraud"},
		},
		"the only document": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Path: "[1].a"}, content: "---\n- x\n- a: y\n---\n",
			want: Field{Line: 3, Column: 6, Path: "[1].a", Part: imagev1.PartImage, Value: "y"},
		},
		"an item of a List": {
			target: imagev1.Target{Image: "m", File: "f.yaml", Object: "Pod/a", Path: "image"}, content: "kind: List\nitems:\n- {kind: Pod, metadata: {name: a}, image: x}\n",
			want: Field{Line: 3, Column: 43, Path: "image", Part: imagev1.PartImage, Value: "x"},
		},
	})
}

func TestLocateRefuses(t *testing.T) {
	testLocate(t, map[string]locateTest{
		"an alias": {
			target: imagev1.Target{File: "f.yaml", Object: fraud, Path: "spec.predictor.containers[1].image"},
			err:    "f.yaml: spec.predictor.containers[1].image is an alias of &img: a change would show at other places too; point at the field that has the anchor",
		},
		"through an alias": {
			target: imagev1.Target{File: "f.yaml", Object: fraud, Path: "spec.predictor.again[0]"},
			err:    "f.yaml: spec.predictor.again[0]: spec.predictor.again is an alias of &more: a change would show at other places too; point at the field that has the anchor",
		},
		"a merge key": {
			target: imagev1.Target{File: "f.yaml", Object: "ConfigMap/values", Path: "other.tag"},
			err:    "f.yaml: other.tag: other has no key tag of its own; it may get one by a merge key (<<), where a change would show at other places too",
		},
		"a key twice": {target: imagev1.Target{File: "f.yaml", Object: "ConfigMap/values", Path: "worker.tag"}, err: "f.yaml: worker.tag: worker has the key tag twice"},
		"no such key": {
			target: imagev1.Target{File: "f.yaml", Object: "ConfigMap/values", Path: "tag"},
			err:    "f.yaml: tag: the document has no key tag; it has kind, metadata, image, defaults, worker and 4 more",
		},
		"no such item":       {target: imagev1.Target{File: "f.yaml", Object: fraud, Path: "spec.predictor.containers[7]"}, err: "f.yaml: spec.predictor.containers[7]: spec.predictor.containers has 2 items, the first is [0]"},
		"no list":            {target: imagev1.Target{File: "f.yaml", Object: fraud, Path: "spec[0]"}, err: "f.yaml: spec[0]: spec is a mapping, not a list"},
		"no mapping":         {target: imagev1.Target{File: "f.yaml", Object: fraud, Path: "kind.x"}, err: "f.yaml: kind.x: kind is a scalar, not a mapping"},
		"no scalar":          {target: imagev1.Target{File: "f.yaml", Object: fraud, Path: "spec"}, err: "f.yaml: spec is not a scalar"},
		"nothing":            {target: imagev1.Target{File: "f.yaml", Object: "ConfigMap/values", Path: "empty"}, err: `f.yaml: empty is missing; write "" or the first value`},
		"a block":            {target: imagev1.Target{File: "f.yaml", Object: "ConfigMap/values", Path: "image.lines"}, err: "f.yaml: image.lines is a block; write it in one line"},
		"no object named":    {target: imagev1.Target{File: "f.yaml", Path: "spec"}, err: "f.yaml: the file holds 2 documents: name one with object, <kind>/<name>; there are InferenceService/ml/fraud, ConfigMap/values"},
		"no such object":     {target: imagev1.Target{File: "f.yaml", Object: "Pod/x", Path: "spec"}, err: "f.yaml: there is no object Pod/x; there are InferenceService/ml/fraud, ConfigMap/values"},
		"an object twice":    {target: imagev1.Target{File: "f.yaml", Object: "Pod/x", Path: "a"}, content: "{kind: Pod, metadata: {name: x}}\n---\n{kind: Pod, metadata: {name: x, namespace: n}}\n", err: "f.yaml: there are 2 objects Pod/x: Pod/x, Pod/n/x"},
		"an empty file":      {target: imagev1.Target{File: "f.yaml", Path: "a"}, content: "# x\n", err: "f.yaml: the file is empty"},
		"no YAML":            {target: imagev1.Target{File: "f.yaml", Path: "a"}, content: "a: [", err: "f.yaml: the file is not YAML: yaml: line 1: did not find expected node content"},
		"no repository":      {target: imagev1.Target{File: "f.yaml", Object: "ConfigMap/values", Path: "image.tag", Part: imagev1.PartTag, RepositoryPath: "image"}, err: "f.yaml: image names no repository: it is a mapping"},
		"no repositoryPath":  {target: imagev1.Target{File: "f.yaml", Path: "a", Part: imagev1.PartDigest}, err: "repositoryPath: is required for part digest"},
		"an absolute file":   {target: imagev1.Target{File: "/f.yaml", Path: "a"}, err: `file: "/f.yaml" must be relative to update.path`},
		"a file elsewhere":   {target: imagev1.Target{File: "a/../../f.yaml", Path: "a"}, err: `file: "a/../../f.yaml" must not leave update.path`},
		"a path that is not": {target: imagev1.Target{File: "f.yaml", Path: "a..b"}, err: `path: "a..b" at character 3: a name is missing, or has to stand in quotes and brackets`},
		"an odd object":      {target: imagev1.Target{File: "f.yaml", Path: "a", Object: "Pod"}, err: `object: "Pod" is not of the form <kind>/<name>`},
	})
}

func testLocate(t *testing.T, tests map[string]locateTest) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.content == "" {
				test.content = services
			}
			got, err := Locate([]byte(test.content), test.target)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("got error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			test.want.File, test.want.Image, test.want.ID, test.want.Object = "f.yaml", "m", got.ID, got.Object
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
			result, err := Set([]byte(test.content), map[int]string{0: "new:1"}, []Field{got})
			if err != nil {
				t.Fatal(err)
			}
			if after, err := Locate(result, test.target); err != nil || after.Value != got.Written("new:1") {
				t.Errorf("after Set: %+v, %v", after, err)
			}
		})
	}
}

func TestParsePath(t *testing.T) {
	name := func(s string) step { return step{key: s} }
	index := func(i int) step { return step{index: i, isIndex: true} }
	tests := map[string]struct {
		want []step
		err  string
	}{
		"a":                    {want: []step{name("a")}},
		"a.b-c.d/e":            {want: []step{name("a"), name("b-c"), name("d/e")}},
		"a[0][12].b":           {want: []step{name("a"), index(0), index(12), name("b")}},
		`a["b.c"].d['e"']`:     {want: []step{name("a"), name("b.c"), name("d"), name(`e"`)}},
		`["\"\\\u00e9"]`:       {want: []step{name(`"\é`)}},
		"":                     {err: "is empty"},
		".a":                   {err: "at character 1: a name is missing, or has to stand in quotes and brackets"},
		"a.":                   {err: "at character 3: a name is missing, or has to stand in quotes and brackets"},
		"a b":                  {err: "at character 2: a name is missing, or has to stand in quotes and brackets"},
		"a[0]b":                {err: "at character 5: after a bracket comes a dot, another bracket or the end"},
		"a[":                   {err: "at character 2: the bracket is not closed"},
		"a[1":                  {err: "at character 2: the bracket is not closed"},
		"a[-1]":                {err: "at character 2: in brackets stands an index from 0 to 1048576 or a name in quotes"},
		"a[99999999999999999]": {err: "at character 2: in brackets stands an index from 0 to 1048576 or a name in quotes"},
		`a["b]`:                {err: "at character 2: the quotes are not closed, or hold an unknown escape"},
		`a['b]`:                {err: "at character 2: the quotes are not closed"},
		`a["b"`:                {err: "at character 2: the bracket is not closed"},
	}
	for path, test := range tests {
		t.Run(path, func(t *testing.T) {
			got, err := parsePath(path)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("got error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(step{})); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a.b[0]", `a["b.c"]['d']`, "[1][2]", `["\u00e9\x41"].x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		steps, err := parsePath(text)
		if err != nil {
			return
		}
		again, err := parsePath(formatPath(steps))
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, formatPath(steps), err)
		}
		if diff := cmp.Diff(steps, again, cmp.AllowUnexported(step{})); diff != "" {
			t.Errorf("%q was written as %q\n%s", text, formatPath(steps), diff)
		}
	})
}

func FuzzLocate(f *testing.F) {
	f.Add(services, "spec.predictor.containers[0].image", "InferenceService/fraud")
	f.Add("- a: x\n  b: &y [1, *y]\n", "[0].b[1]", "")
	f.Fuzz(func(t *testing.T, content, path, object string) {
		target := imagev1.Target{File: "f.yaml", Path: path, Object: object}
		field, err := Locate([]byte(content), target)
		if err != nil {
			return
		}
		result, err := Set([]byte(content), map[int]string{0: "new:1"}, []Field{field})
		if err != nil {
			return
		}
		after, err := Locate(result, target)
		if err != nil || after.Value != field.Written("new:1") {
			t.Errorf("%q became %q: %+v, %v", content, result, after, err)
		}
	})
}
