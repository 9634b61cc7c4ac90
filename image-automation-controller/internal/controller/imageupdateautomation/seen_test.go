// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
)

// A policy over annotations looks at many more candidates than are remembered:
// the best of them keep their age all the same.
func TestSeenKeepsTheAgeOfTheBest(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	look := func(before []imagev1.SeenImage, at time.Time) []imagev1.SeenImage {
		k := &knowledge{facts: plan.Facts{Tags: map[string]*plan.Artifact{}}}
		f := &finder{before: imagev1.ImageStatus{Seen: before}}
		for i := range 100 {
			tag := fmt.Sprintf("v%02d", 99-i)
			digest, first := "sha256:"+tag, at
			if old := slices.IndexFunc(f.before.Seen, func(s imagev1.SeenImage) bool { return s.Digest == digest }); old >= 0 {
				first = f.firstSeen(digest, at)
			}
			k.ranked = append(k.ranked, tag)
			k.facts.Tags[tag] = &plan.Artifact{Tag: tag, Digest: digest, FirstSeen: first}
		}
		return k.seen(before)
	}
	// What was seen before and is not among the best fills the rest.
	old := imagev1.SeenImage{Digest: "sha256:old", Tag: "old", FirstSeen: metav1.Time{Time: start.Add(-time.Hour)}}
	first := look([]imagev1.SeenImage{old}, start)
	again := look(first, start.Add(time.Hour))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("looking twice is not the same:\n%s", diff)
	}
	if len(first) > imagev1.MaxSeen || !slices.Contains(first, old) ||
		!slices.ContainsFunc(again, func(s imagev1.SeenImage) bool { return s.Tag == "v99" && s.FirstSeen.Time.Equal(start) }) {
		t.Errorf("seen %v", again)
	}
}

// What was first seen while the clock was ahead is seen now: else it would wait
// for its age, and for the clock to get there.
func TestFirstSeen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	at := func(digest string, first time.Time) imagev1.SeenImage {
		return imagev1.SeenImage{Digest: digest, FirstSeen: metav1.Time{Time: first}}
	}
	f := &finder{before: imagev1.ImageStatus{Seen: []imagev1.SeenImage{at("old", now.Add(-time.Hour)), at("ahead", now.Add(time.Hour))}}}
	for digest, want := range map[string]time.Time{"old": now.Add(-time.Hour), "ahead": now, "new": now} {
		if got := f.firstSeen(digest, now); !got.Equal(want) {
			t.Errorf("%s was first seen at %s, want %s", digest, got, want)
		}
	}
}

func TestDecisionHolds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		tip, inputs string
		recheck     time.Time
		now         time.Time
		want        bool
	}{
		"nothing changed":              {tip: "t", inputs: "i", now: at.Add(time.Hour), want: true},
		"another tip":                  {tip: "u", inputs: "i", now: at},
		"other inputs":                 {tip: "t", inputs: "j", now: at},
		"before time can change it":    {tip: "t", inputs: "i", recheck: at.Add(time.Hour), now: at.Add(time.Minute), want: true},
		"time may have changed it":     {tip: "t", inputs: "i", recheck: at.Add(time.Hour), now: at.Add(time.Hour)},
		"the clock went back behind":   {tip: "t", inputs: "i", recheck: at.Add(time.Hour), now: at.Add(-time.Minute)},
		"time cannot change it at all": {tip: "t", inputs: "i", now: at.Add(-time.Minute), want: true},
	} {
		d := &decided{tip: "t", inputs: "i", at: at, result: &plan.Result{Recheck: tc.recheck}}
		if got := d.holds(tc.tip, tc.inputs, tc.now); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
	if (*decided)(nil).holds("t", "i", at) {
		t.Error("no decision holds")
	}
}
