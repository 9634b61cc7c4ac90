// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository

import (
	"testing"
	"time"
)

func TestNextScan(t *testing.T) {
	t.Parallel()
	const interval = 5 * time.Minute
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		at   time.Time
		want time.Duration
	}{
		"just scanned":                      {at: now, want: interval},
		"scanned a minute ago":              {at: now.Add(-time.Minute), want: 4 * time.Minute},
		"scanned for longer than that":      {at: now.Add(-interval), want: interval},
		"scanned before the clock was back": {at: now.Add(time.Hour), want: interval},
	} {
		if got := nextScan(interval, tc.at, now); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
