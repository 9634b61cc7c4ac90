// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package exemption

import (
	"bytes"
	"testing"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/yaml"
)

func TestCovers(t *testing.T) {
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(`
spec:
  replicas: 3
  containers: [{name: sidecar, image: a}, {name: web, image: b, ports: [{containerPort: 80, protocol: TCP}]}]
  args: [one, two]
metadata: {finalizers: [a, b]}`), &obj); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		pointer string
		fields  string
		want    bool
	}{
		"the field":              {"/spec/replicas", `{"f:spec": {"f:replicas": {}}}`, true},
		"beside it":              {"/spec/replicas", `{"f:spec": {"f:args": {}}}`, false},
		"above it":               {"/spec/replicas", `{"f:spec": {}}`, false},
		"below it":               {"/spec", `{"f:spec": {"f:args": {}}}`, true},
		"item by its key":        {"/spec/containers/1/image", `{"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}`, true},
		"another item":           {"/spec/containers/0/image", `{"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}`, false},
		"item of two keys":       {"/spec/containers/1/ports/0", `{"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:hostPort": {}}}}}}}`, true},
		"item that is not there": {"/spec/containers/2", `{"f:spec": {"f:containers": {"k:{\"name\":\"gone\"}": {"f:image": {}}}}}`, false},
		"value of a set":         {"/metadata/finalizers/1", `{"f:metadata": {"f:finalizers": {"v:\"b\"": {}}}}`, true},
		"another value":          {"/metadata/finalizers/0", `{"f:metadata": {"f:finalizers": {"v:\"b\"": {}}}}`, false},
		"index":                  {"/spec/args/1", `{"f:spec": {"f:args": {"i:1": {}}}}`, true},
		"index out of range":     {"/spec/args/7", `{"f:spec": {"f:args": {"i:7": {}}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			pointer, err := Parse(tc.pointer)
			if err != nil {
				t.Fatal(err)
			}
			set := fieldpath.NewSet()
			if err := set.FromJSON(bytes.NewReader([]byte(tc.fields))); err != nil {
				t.Fatal(err)
			}
			set.Leaves().Iterate(func(path fieldpath.Path) {
				if got := NewTree([]Pointer{pointer}).Covers(path, obj); got != tc.want {
					t.Errorf("%s covers %s: %t, want %t", tc.pointer, path, got, tc.want)
				}
			})
		})
	}
}
