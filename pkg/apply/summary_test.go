// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/inventory"
)

func TestNewPlan(t *testing.T) {
	ref := func(name string) inventory.Ref { return inventory.Ref{Namespace: "ns", Name: name, Kind: "ConfigMap"} }
	got := NewPlan("main@sha1:1", []Difference{
		{Ref: ref("same"), Action: Unchanged},
		{Ref: ref("left"), Action: Skipped},
		{Ref: ref("new"), Action: Created},
		{Ref: ref("other"), Action: Configured, Paths: []string{"data.key"}, Omitted: 3},
		{Ref: ref("anew"), Action: Recreated},
	}, []Doomed{{Ref: ref("old")}})
	want := &meta.Plan{
		Revision: "main@sha1:1", Created: 1, Changed: 2, Deleted: 1, Unchanged: 2,
		ObjectChanges: meta.ObjectChanges{Changes: []meta.ObjectChange{
			{ID: "ns_old__ConfigMap", Action: "deleted"},
			{ID: "ns_anew__ConfigMap", Action: "recreated"},
			{ID: "ns_other__ConfigMap", Action: "configured", Paths: []string{"data.key"}, OmittedPaths: 3},
			{ID: "ns_new__ConfigMap", Action: "created"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	text := "Plan for revision main@sha1:1: 1 to create, 2 to change, 1 to delete, 2 unchanged; nothing was applied"
	if described := DescribePlan(got); described != text {
		t.Errorf("described as %q, want %q", described, text)
	}
}

func TestDescribeDrift(t *testing.T) {
	ref := func(name string) inventory.Ref { return inventory.Ref{Namespace: "ns", Name: name, Kind: "ConfigMap"} }
	for name, tc := range map[string]struct {
		found []Difference
		want  string
	}{
		"none":        {nil, ""},
		"gone":        {[]Difference{{Ref: ref("a"), Action: Created}}, "ConfigMap/ns/a is gone"},
		"unknown how": {[]Difference{{Ref: ref("a"), Action: Recreated}}, "ConfigMap/ns/a differs"},
		"sorted": {[]Difference{{Ref: ref("b"), Action: Created}, {Ref: ref("a"), Action: Configured, Paths: []string{".x", ".y"}}},
			"ConfigMap/ns/a differs: .x, .y; ConfigMap/ns/b is gone"},
		"many paths": {[]Difference{{Ref: ref("a"), Action: Configured, Paths: []string{"1", "2", "3", "4", "5", "6"}, Omitted: 2}},
			"ConfigMap/ns/a differs: 1, 2, 3, 4, 5, and 3 more"},
		"many objects": {[]Difference{{Ref: ref("a"), Action: Created}, {Ref: ref("b"), Action: Created}, {Ref: ref("c"), Action: Created},
			{Ref: ref("d"), Action: Created}, {Ref: ref("e"), Action: Created}, {Ref: ref("f"), Action: Created}},
			"ConfigMap/ns/a is gone; ConfigMap/ns/b is gone; ConfigMap/ns/c is gone; ConfigMap/ns/d is gone; ConfigMap/ns/e is gone; and 1 more"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := DescribeDrift(tc.found); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
