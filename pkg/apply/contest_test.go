// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ownedBy returns an object whose fields, such as "f:data/f:a", belong to
// managers: to us by an apply, to others by an update.
func ownedBy(owners map[string][]string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	var entries []any
	for by, names := range owners {
		data := map[string]any{}
		for _, name := range names {
			data["f:"+name] = map[string]any{}
		}
		operation := "Update"
		if by == manager {
			operation = "Apply"
		}
		entries = append(entries, map[string]any{
			"manager": by, "operation": operation, "fieldsType": "FieldsV1",
			"fieldsV1": map[string]any{"f:data": data},
		})
	}
	obj.Object["metadata"] = map[string]any{"managedFields": entries}
	return obj
}

func TestContest(t *testing.T) {
	const reverting = time.Minute
	ours := ownedBy(map[string][]string{manager: {"a", "b"}})
	edited := ownedBy(map[string][]string{manager: {"b"}, "editor": {"a"}})
	removed := ownedBy(map[string][]string{manager: {"b"}})
	other := ownedBy(map[string][]string{manager: {"b"}, "robot": {"a"}})
	both := ownedBy(map[string][]string{"editor": {"a", "b"}})
	aByEditor := []Contender{{Path: ".data.a", Manager: "editor"}}

	for name, tc := range map[string]struct {
		// seen are the live objects that were put back, a minute apart.
		seen []*unstructured.Unstructured
		// after is how long after the last of them live is looked at.
		after   time.Duration
		live    *unstructured.Unstructured
		want    []Contender
		settled bool
	}{
		"never put back":                {live: edited, settled: true},
		"twice":                         {seen: repeat(edited, 2), live: edited, settled: true},
		"three times":                   {seen: repeat(edited, 3), live: edited, want: aByEditor},
		"three times removed":           {seen: repeat(removed, 3), live: removed, want: []Contender{{Path: ".data.a"}}},
		"removed does not count as set": {seen: append(repeat(removed, 2), edited), live: edited, settled: true},
		"another manager":               {seen: repeat(edited, 3), live: other},
		"another path as well":          {seen: repeat(edited, 3), live: both},
		"both paths":                    {seen: repeat(both, 3), live: both, want: []Contender{{".data.a", "editor"}, {".data.b", "editor"}}},
		"nothing is lost":               {seen: repeat(edited, 3), live: ours},
		"at the end of the window":      {seen: repeat(edited, 3), after: contestWindow - 2*reverting, live: edited, want: aByEditor},
		"after the window":              {seen: repeat(edited, 3), after: contestWindow, live: edited, settled: true},
		"spread over more than it":      {seen: append(append(repeat(edited, 2), repeat(ours, 9)...), edited), live: edited, settled: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, now := &contest{}, time.Now()
			for i, live := range tc.seen {
				if i > 0 {
					now = now.Add(reverting)
				}
				c.revert(live, ours, byManager, now)
			}
			now = now.Add(tc.after)
			if diff := cmp.Diff(tc.want, c.standing(tc.live, byManager, now)); diff != "" {
				t.Errorf("standing (-want +got):\n%s", diff)
			}
			if got := c.settled(now); got != tc.settled {
				t.Errorf("settled = %t, want %t", got, tc.settled)
			}
		})
	}
}

func repeat(obj *unstructured.Unstructured, times int) []*unstructured.Unstructured {
	out := make([]*unstructured.Unstructured, times)
	for i := range out {
		out[i] = obj
	}
	return out
}

func TestRevertTellsWhoChangedWhat(t *testing.T) {
	c := &contest{}
	live := ownedBy(map[string][]string{manager: {"b"}, "editor": {"a"}, "stranger": {"z"}})
	got := c.revert(live, ownedBy(map[string][]string{manager: {"a", "b", "c"}}), byManager, time.Now())
	want := []string{".data.a set by editor", ".data.c removed"}
	var texts []string
	for _, contender := range got {
		texts = append(texts, contender.String())
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("contenders (-want +got):\n%s", diff)
	}
}

func byManager(obj *unstructured.Unstructured) *fieldpath.Set { return claimed(obj, manager) }
