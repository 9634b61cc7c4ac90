// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestChronicleOrders(t *testing.T) {
	t.Parallel()
	c := &chronicle{moments: map[moment]record{}, born: map[string]map[types.UID]bool{}}
	// A watch of one kind may be behind that of another: the order of arrival must not count.
	c.note(sight("Deployment", "server", "a", "100", ""))
	c.note(sight("Job", "train", "b", "98", ""))
	c.note(sight("Job", "train", "b", "99", complete))
	c.note(sight("Job", "train", "b", "120", complete))
	c.note(sight("Job", "train", "c", "130", ""))

	for name, tc := range map[string]struct {
		moments []moment
		want    string
	}{
		"in order":     {[]moment{{"Job/train", created}, {"Job/train", complete}, {"Deployment/server", created}}, ""},
		"out of order": {[]moment{{"Deployment/server", created}, {"Job/train", complete}}, "Job/train Complete (resource version 99) should be after"},
		"not yet":      {[]moment{{"Job/train", created}, {"Deployment/server", ready}}, "not seen: Deployment/server Ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := c.inOrder(tc.moments); err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
				t.Errorf("inOrder returned %q, want %q", got, tc.want)
			}
		})
	}
	if got := c.births("Job/train"); got != 2 {
		t.Errorf("%d Jobs were born, want 2", got)
	}
}

// sight is an object as a watch shows it, with one condition that is True.
func sight(kind, name, uid, version, condition string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{
		"kind":     kind,
		"metadata": map[string]any{"name": name, "uid": uid, "resourceVersion": version},
	}}
	if condition != "" {
		object.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": condition, "status": "True"}}}
	}
	return object
}
