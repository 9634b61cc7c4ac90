// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLiveByOurClock looks at a lease of a minute again and again.
func TestLiveByOurClock(t *testing.T) {
	begun := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	type look struct {
		after   time.Duration // since the beginning
		renewed time.Duration // the same, by the clock of the holder
		want    bool
	}
	for name, looks := range map[string][]look{
		"renewed, then no more":                     {{0, 0, true}, {50 * time.Second, 45 * time.Second, true}, {104 * time.Second, 45 * time.Second, true}, {110 * time.Second, 45 * time.Second, false}},
		"dead for long":                             {{0, -time.Hour, false}, {time.Second, -time.Hour, false}},
		"dead for ten minutes":                      {{0, -11 * time.Minute, true}, {59 * time.Second, -11 * time.Minute, true}, {time.Minute, -11 * time.Minute, false}},
		"alive, and its clock is 100 s behind ours": {{0, -100 * time.Second, true}, {5 * time.Second, -95 * time.Second, true}, {64 * time.Second, -95 * time.Second, true}, {65 * time.Second, -95 * time.Second, false}},
		"alive, and its clock is an hour behind ours": {
			{0, -time.Hour, false}, {5 * time.Second, -time.Hour + 5*time.Second, true}, {64 * time.Second, -time.Hour + 5*time.Second, true},
			{65 * time.Second, -time.Hour + 5*time.Second, false},
		},
		"dead, and its clock was an hour ahead of ours": {{0, time.Hour, true}, {59 * time.Second, time.Hour, true}, {time.Minute, time.Hour, false}, {2 * time.Minute, time.Hour, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var seen sightings
			for _, l := range looks {
				lease := leaseOf("ns", "somebody", 0)
				lease.Spec.RenewTime = &metav1.MicroTime{Time: begun.Add(l.renewed)}
				if got := seen.live(lease, begun.Add(l.after)); got != l.want {
					t.Errorf("after %s: live = %t, want %t", l.after, got, l.want)
				}
			}
		})
	}
}
