// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"slices"
	"sync"
)

// slots bounds what runs at a time: in total, by host and by namespace. Who
// waits for one of them holds none of the others.
type slots struct {
	mu      sync.Mutex
	total   int
	hosts   map[string]int
	spaces  map[string]int
	waiting []*claim // the first one waits longest
}

// claim is somebody who waits.
type claim struct {
	host, space string
	// granted is closed when the slots are taken.
	granted chan struct{}
}

func newSlots() *slots { return &slots{hosts: map[string]int{}, spaces: map[string]int{}} }

// acquire waits for a slot of the host, one of the namespace and one of all.
func (s *slots) acquire(ctx context.Context, host, space string) (release func(), err error) {
	c := &claim{host: host, space: space, granted: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, c)
	s.grant()
	s.mu.Unlock()
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.total--
		drop(s.hosts, host)
		drop(s.spaces, space)
		s.grant()
	}
	select {
	case <-c.granted:
		return release, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	at := slices.Index(s.waiting, c)
	if at >= 0 {
		s.waiting = slices.Delete(s.waiting, at, at+1)
	}
	s.mu.Unlock()
	if at < 0 {
		release()
	}
	return nil, ctx.Err()
}

// grant lets those begin that can. The caller holds the mutex.
func (s *slots) grant() {
	s.waiting = slices.DeleteFunc(s.waiting, func(c *claim) bool {
		if s.total >= maxRuns || s.hosts[c.host] >= maxPerHost || s.spaces[c.space] >= maxPerSpace {
			return false
		}
		s.total++
		s.hosts[c.host]++
		s.spaces[c.space]++
		close(c.granted)
		return true
	})
}

// drop takes one from a count.
func drop(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}
