// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/weir-gitops/weir/pkg/watch"
)

// However often a watch has failed, nobody is blind for longer than a few
// seconds once the API server is back.
func TestBackoffStaysShort(t *testing.T) {
	t.Parallel()
	delay := watch.Backoff().DelayWithReset(clock.RealClock{}, time.Hour)
	for i := range 1000 {
		if d := delay(); d > 7500*time.Millisecond || d < 100*time.Millisecond {
			t.Fatalf("failure %d is waited out for %s, want 0.2 s to 7.5 s", i+1, d)
		}
	}
}
