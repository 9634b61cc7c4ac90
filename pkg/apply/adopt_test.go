// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/pkg/exemption"
)

// TestLeaveTo settles one pointer between what is wanted, what there is, and
// who claims it.
func TestLeaveTo(t *testing.T) {
	for name, tc := range map[string]struct {
		path, desired, live string
		ours, others        string // claims below f:spec
		by                  string // operation of the others
		want                string
		adopted             bool
	}{
		"another apply owns it":             {path: "/spec/replicas", desired: "{replicas: 1, x: 1}", live: "{replicas: 7}", others: `{"f:replicas": {}}`, by: "Apply", want: "{x: 1}"},
		"an update owns it":                 {path: "/spec/replicas", desired: "{replicas: 1, x: 1}", live: "{replicas: 7}", others: `{"f:replicas": {}}`, by: "Update", want: "{replicas: 7, x: 1}", adopted: true},
		"nobody owns it":                    {path: "/spec/replicas", desired: "{replicas: 1}", live: "{replicas: 7}", want: "{replicas: 7}", adopted: true},
		"we own it":                         {path: "/spec/replicas", desired: "{replicas: 1}", live: "{replicas: 7}", ours: `{"f:replicas": {}}`, want: "{replicas: 7}", adopted: true},
		"both applied the same":             {path: "/spec/replicas", desired: "{replicas: 1}", live: "{replicas: 7}", ours: `{"f:replicas": {}}`, others: `{"f:replicas": {}}`, by: "Apply", want: "{}"},
		"no difference":                     {path: "/spec/replicas", desired: "{replicas: 7}", live: "{replicas: 7}", want: "{replicas: 7}", adopted: true},
		"live has none":                     {path: "/spec/replicas", desired: "{replicas: 1, x: 1}", live: "{}", want: "{x: 1}"},
		"Git has none, only we own it":      {path: "/spec/replicas", desired: "{x: 1}", live: "{replicas: 7}", ours: `{"f:replicas": {}}`, want: "{replicas: 7, x: 1}", adopted: true},
		"Git has none, others own it too":   {path: "/spec/replicas", desired: "{x: 1}", live: "{replicas: 7}", ours: `{"f:replicas": {}}`, others: `{"f:replicas": {}}`, by: "Update", want: "{x: 1}"},
		"Git has none, others own it":       {path: "/spec/replicas", desired: "{x: 1}", live: "{replicas: 7}", others: `{"f:replicas": {}}`, by: "Update", want: "{x: 1}"},
		"Git has none, nor the way to it":   {path: "/spec/a/b", desired: "{x: 1}", live: "{a: {b: 1}}", ours: `{"f:a": {"f:b": {}}}`, want: "{a: {b: 1}, x: 1}", adopted: true},
		"live has no way to it":             {path: "/spec/a/b", desired: "{a: {b: 1, c: 2}}", live: "{}", want: "{a: {c: 2}}"},
		"what is emptied goes":              {path: "/spec/a/b", desired: "{a: {b: 1}}", live: "{}", want: "{}"},
		"what was empty stays":              {path: "/spec/a/b", desired: "{a: {}}", live: "{a: {b: 1}}", want: "{a: {}}"},
		"item by its key, not its index":    {path: "/spec/list/1/image", desired: "{list: [{name: web, image: b}]}", live: "{list: [{name: sidecar, image: s}, {name: web, image: c}]}", ours: `{"f:list": {"k:{\"name\":\"web\"}": {"f:name": {}}}}`, want: "{list: [{name: web, image: c}]}", adopted: true},
		"item that Git does not have":       {path: "/spec/list/0/image", desired: "{list: [{name: web, image: b}]}", live: "{list: [{name: sidecar, image: s}, {name: web, image: c}]}", others: `{"f:list": {"k:{\"name\":\"sidecar\"}": {"f:name": {}}}}`, by: "Update", want: "{list: [{name: web, image: b}]}"},
		"item of a list that is one value":  {path: "/spec/list/1", desired: "{list: [a, b]}", live: "{list: [a, c]}", ours: `{"f:list": {}}`, want: "{list: [a, c]}", adopted: true},
		"index out of range":                {path: "/spec/list/9", desired: "{list: [a, b]}", live: "{list: [a, c]}", want: "{list: [a, b]}"},
		"no index":                          {path: "/spec/list/-", desired: "{list: [a, b]}", live: "{list: [a, c]}", want: "{list: [a, b]}"},
		"another type on the way":           {path: "/spec/a/b", desired: "{a: {b: 1}}", live: "{a: text}", want: "{a: {b: 1}}"},
		"others applied a part of it":       {path: "/spec/res", desired: "{res: {cpu: 1, mem: 1, gpu: 1}}", live: "{res: {cpu: 5, mem: 6}}", ours: `{"f:res": {"f:mem": {}}}`, others: `{"f:res": {"f:cpu": {}}}`, by: "Apply", want: "{res: {mem: 6}}", adopted: true},
		"others applied all of it":          {path: "/spec/res", desired: "{res: {cpu: 1}, x: 1}", live: "{res: {cpu: 5}}", others: `{"f:res": {"f:cpu": {}}}`, by: "Apply", want: "{x: 1}"},
		"others applied a part of the list": {path: "/spec/list", desired: "{list: [{name: a}, {name: c}]}", live: "{list: [{name: a}, {name: b}]}", ours: `{"f:list": {"k:{\"name\":\"a\"}": {}}}`, others: `{"f:list": {"k:{\"name\":\"b\"}": {}}}`, by: "Apply", want: "{list: [{name: a}, {name: b}]}", adopted: true},
	} {
		t.Run(name, func(t *testing.T) {
			live := specOf(t, tc.live)
			var entries []any
			entries = append(entries, entry(t, manager, "Apply", tc.ours), entry(t, "someone", tc.by, tc.others))
			if err := unstructured.SetNestedSlice(live.Object, entries, "metadata", "managedFields"); err != nil {
				t.Fatal(err)
			}
			pointer, err := exemption.Parse(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			desired := specOf(t, tc.desired)
			if got := leaveTo(desired, live, []exemption.Pointer{pointer}, manager); got != tc.adopted {
				t.Errorf("adopted = %t, want %t", got, tc.adopted)
			}
			want := specOf(t, tc.want).Object["spec"]
			got := desired.Object["spec"]
			if got == nil {
				got = map[string]any{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("to be sent (-want +got):\n%s", diff)
			}
		})
	}
}

func specOf(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: " + text + "}"))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return obj
}

func entry(t *testing.T, by, operation, claims string) map[string]any {
	t.Helper()
	fields := map[string]any{}
	if claims != "" {
		var below map[string]any
		if err := json.Unmarshal([]byte(claims), &below); err != nil {
			t.Fatal(err)
		}
		fields["f:spec"] = below
	}
	return map[string]any{"manager": by, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields}
}

// What an apply cannot set, or what makes the object ours, is never touched.
func TestLeaveToKeepsTheIdentity(t *testing.T) {
	for _, path := range []string{"/metadata", "/metadata/name", "/metadata/managedFields", "/kind", "/apiVersion", "/status"} {
		t.Run(path, func(t *testing.T) {
			pointer, err := exemption.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			live, desired := specOf(t, "{a: 1}"), specOf(t, "{a: 2}")
			live.SetName("other")
			live.SetKind("Other")
			live.SetAnnotations(map[string]string{"note": "live"})
			desired.SetAnnotations(map[string]string{"note": "git"})
			leaveTo(desired, live, []exemption.Pointer{pointer}, manager)
			if desired.GetName() != "web" || desired.GetKind() != "Deployment" || len(desired.GetManagedFields()) > 0 || desired.GetUID() != "" {
				t.Errorf("to be sent: %v", desired.Object)
			}
			want := "git"
			if path == "/metadata" {
				want = "live"
			}
			if got := desired.GetAnnotations()["note"]; got != want {
				t.Errorf("annotation %q, want %q", got, want)
			}
		})
	}
}
