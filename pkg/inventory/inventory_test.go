// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDRoundTrip(t *testing.T) {
	for name, tc := range map[string]struct {
		ref Ref
		id  string
	}{
		"namespaced":     {Ref{"apps", "web", "apps", "Deployment"}, "apps_web_apps_Deployment"},
		"core group":     {Ref{"apps", "web", "", "Service"}, "apps_web__Service"},
		"cluster-scoped": {Ref{"", "apps", "", "Namespace"}, "_apps__Namespace"},
		"rbac colon":     {Ref{"", "system:reader", "rbac.authorization.k8s.io", "ClusterRole"}, "_system__reader_rbac.authorization.k8s.io_ClusterRole"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.ref.ID(); got != tc.id {
				t.Errorf("ID() = %q, want %q", got, tc.id)
			}
			got, err := Parse(tc.id)
			if err != nil || got != tc.ref {
				t.Errorf("Parse(%q) = %v, %v, want %v", tc.id, got, err, tc.ref)
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	for _, id := range []string{"", "a", "a_b", "a_b_c", "a___", "____"} {
		if got, err := Parse(id); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", id, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("apps_web_apps_Deployment")
	f.Add("_a__b_c_D")
	f.Fuzz(func(t *testing.T, id string) {
		ref, err := Parse(id)
		if err != nil {
			return
		}
		again, err := Parse(ref.ID())
		if err != nil || again.ID() != ref.ID() {
			t.Errorf("Parse(%q) = %+v, whose ID %q reads as %+v, %v", id, ref, ref.ID(), again, err)
		}
	})
}

func TestSetOperations(t *testing.T) {
	a, b, c := Ref{Name: "a", Kind: "K"}, Ref{Name: "b", Kind: "K"}, Ref{Name: "c", Kind: "K"}
	older, newer := Inventory{a: "v1", b: "v1"}, Inventory{b: "v2", c: "v2"}
	if diff := cmp.Diff(Inventory{a: "v1", b: "v2", c: "v2"}, newer.Union(older)); diff != "" {
		t.Errorf("Union (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Inventory{a: "v1"}, older.Minus(newer)); diff != "" {
		t.Errorf("Minus (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Ref{a, b}, older.Refs()); diff != "" {
		t.Errorf("Refs (-want +got):\n%s", diff)
	}
}
