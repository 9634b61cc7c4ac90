// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"sync"
	"time"
)

// tenure watches over the time that a leader has: the renew deadline from its last
// renewal, which is less than the lease lasts. client-go's elector has the same
// deadline, but counts it from the next attempt to renew, and then tries to release
// the lease before it says a word; where packets are lost, others lead by then.
type tenure struct {
	// lasts is the renew deadline. Zero: for ever.
	lasts time.Duration
	// lost has room for one reason: a process ends once.
	lost chan error

	mu    sync.Mutex
	timer *time.Timer
	// failed is why the last attempt to renew failed.
	failed error
}

func newTenure(lasts time.Duration) *tenure {
	return &tenure{lasts: lasts, lost: make(chan error, 1)}
}

// extend has the time begin anew, at the moment when a renewal that was successful
// was begun.
func (t *tenure) extend(from time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = nil
	if t.lasts == 0 {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(time.Until(from.Add(t.lasts)), t.expire)
}

// fail keeps why a renewal failed, for who asks in the end.
func (t *tenure) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = err
}

// resign ends the time without a loss.
func (t *tenure) resign() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
}

func (t *tenure) expire() {
	t.mu.Lock()
	failed := t.failed
	t.mu.Unlock()
	err := fmt.Errorf("the lease was not renewed for %s, and others may lead soon", t.lasts)
	if failed != nil {
		err = fmt.Errorf("%w; the last attempt: %w", err, failed)
	}
	t.lose(err)
}

// lose says that this process must not lead any more, not even to end in good order.
func (t *tenure) lose(reason error) {
	select {
	case t.lost <- begin(fmt.Errorf("lead no more: %w", reason)):
	default: // It was said.
	}
}
