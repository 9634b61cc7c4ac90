// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"sync"
	"time"
)

// What the expressions of one owner may take. An evaluation of a reasonable
// expression takes some microseconds, and at its limit about a second.
const (
	// allowance is the time that may be taken at once.
	allowance = 10 * time.Second
	// refill is how much of the time that passes is given back: one part in
	// so many.
	refill = 10
)

// meter measures the time that the expressions of an owner take. The watch
// that waits for them serves other owners, too.
type meter struct {
	mu    sync.Mutex
	spent time.Duration
	at    time.Time // when spent was last right
}

// take notes that time was taken until now, and reports whether that was
// allowed.
func (m *meter) take(took time.Duration, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if passed := now.Sub(m.at); passed > 0 {
		m.spent = max(m.spent-passed/refill, 0)
		m.at = now
	}
	m.spent += took
	return m.spent <= allowance
}
