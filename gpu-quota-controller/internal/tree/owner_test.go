// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

const team = "quota.weir.dev/team"

func TestOwner(t *testing.T) {
	f := New(nil, []quotav1.GPUQuota{
		quota("root", 1),
		quota("named", 5, of("x", "y"), below("root")),
		quota("nlp", 3, selecting(team, "nlp"), below("root")),
		quota("vision", 4, requiring(team, metav1.LabelSelectorOpIn, "vision", "video"), requiring("quota.weir.dev/tier", metav1.LabelSelectorOpNotIn, "free")),
		quota("any", 9, requiring(team, metav1.LabelSelectorOpExists)),
		quota("by-name", 2, selecting(labelMetadataName, "z")),
		quota("same-b", 7, of("twins")),
		quota("same-a", 7, of("twins")),
	}, "kube-system")
	for name, tc := range map[string]struct {
		namespace   string
		labels      map[string]string
		quota, root string
	}{
		"nobody's":                         {"other", nil, "", ""},
		"by list":                          {"x", nil, "named", "root"},
		"by label":                         {"n", map[string]string{team: "nlp"}, "nlp", "root"},
		"the older of two":                 {"x", map[string]string{team: "nlp"}, "nlp", "root"},
		"of the same age, by name":         {"twins", nil, "same-a", "same-a"},
		"one of several values":            {"n", map[string]string{team: "video"}, "vision", "vision"},
		"all requirements":                 {"n", map[string]string{team: "video", "quota.weir.dev/tier": "free"}, "any", "any"},
		"any value":                        {"n", map[string]string{team: "speech"}, "any", "any"},
		"by the label with its name":       {"z", map[string]string{labelMetadataName: "z"}, "by-name", "by-name"},
		"before it has that label":         {"z", nil, "by-name", "by-name"},
		"whatever that label is forged to": {"n", map[string]string{labelMetadataName: "z"}, "", ""},
		"excluded":                         {"kube-system", map[string]string{team: "nlp"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			quota, root, ok := f.Owner(tc.namespace, tc.labels)
			if quota != tc.quota || root != tc.root || ok != (tc.quota != "") {
				t.Errorf("owner %q in %q, %t; want %q in %q", quota, root, ok, tc.quota, tc.root)
			}
		})
	}
}

func TestAssign(t *testing.T) {
	f := New(nil, []quotav1.GPUQuota{
		quota("old", 1, selecting(team, "a")), quota("young", 2, of("one", "two", "three")), quota("youngest", 3, of("one", "kube-system")),
	}, "kube-system")
	got := f.Assign([]Namespace{{"one", map[string]string{team: "a"}}, {"two", nil}, {"three", map[string]string{team: "a"}}, {"four", nil}, {"kube-system", nil}})
	want := Assignment{
		Owner: map[string]string{"one": "old", "two": "young", "three": "old"},
		Count: map[string]int{"old": 2, "young": 1},
		Overlaps: map[string][]Overlap{
			"young":    {{"one", "old"}, {"three", "old"}},
			"youngest": {{"one", "old"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assignment (-want +got):\n%s", diff)
	}
}
