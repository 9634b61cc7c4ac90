// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A namespace with many names of dead servers leaves room for the others, and
// who waits for a busy host keeps no place in the namespace.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := newSlots()
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	var mu sync.Mutex
	var held []func()
	claim := func(host, space string) {
		waiting.Go(func() {
			release, err := s.acquire(ctx, host, space)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			held = append(held, release)
		})
	}
	for i := range 50 {
		claim(fmt.Sprint("dead", i), "evil")
	}
	for range 50 {
		claim("busy", "good")
	}
	count := func() (total, evil, good, busy, queued int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.total, s.spaces["evil"], s.spaces["good"], s.hosts["busy"], len(s.waiting)
	}
	limit := time.Now().Add(10 * time.Second)
	for queued := 0; queued < 100-maxPerSpace-maxPerHost && time.Now().Before(limit); runtime.Gosched() {
		_, _, _, _, queued = count()
	}
	if total, evil, good, busy, _ := count(); total != maxPerSpace+maxPerHost || evil != maxPerSpace || good != maxPerHost || busy != maxPerHost {
		t.Errorf("%d in total, %d of evil, %d of good, %d of one host", total, evil, good, busy)
	}
	// Another host of the same namespace goes on at once.
	release, err := s.acquire(t.Context(), "idle", "good")
	if err != nil {
		t.Fatal(err)
	}
	release()
	cancel()
	waiting.Wait()
	for _, release := range held {
		release()
	}
	if s.total != 0 || len(s.hosts) != 0 || len(s.spaces) != 0 || len(s.waiting) != 0 {
		t.Errorf("left: %+v", s)
	}
}
