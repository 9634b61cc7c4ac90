// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// vigil is what a candidate knows of the one who holds the lease. Clocks of
// other machines do not count: a lease has expired when it was seen unchanged
// for as long as it says, by our own clock.
type vigil struct {
	raw   []byte
	since time.Time
}

// left is how long the lease that was seen now is still valid. Zero or less:
// it has expired.
func (v *vigil) left(record *resourcelock.LeaderElectionRecord, raw []byte, now time.Time) time.Duration {
	if v.since.IsZero() || !bytes.Equal(v.raw, raw) {
		v.raw, v.since = bytes.Clone(raw), now
	}
	return time.Duration(record.LeaseDurationSeconds)*time.Second - now.Sub(v.since)
}

// Get returns the record of the lease. To a candidate it returns when the
// lease is free, or ctx ends: it looks twice in the retry period, and once more
// when the lease should have expired. Left to itself a candidate sleeps for up
// to 2.2 retry periods after each look, and so may see the last renewal, and
// then the end of the lease, that much late.
//
// A lease that has expired is returned as one that nobody holds. So is one of our
// own that we do not lead by: it is that of the process before this one in the same
// pod, which has ended. It is taken at once, and as anybody else's would be, so that
// it counts as another term.
//
// A leader that sees that somebody else has the lease leads no more.
func (l *guardedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	for {
		record, raw, err := l.Interface.Get(ctx)
		if err != nil {
			return nil, nil, err
		}
		if l.seen = record.HolderIdentity; l.seen == "" {
			return record, raw, nil
		}
		ours := record.HolderIdentity == l.Identity()
		if l.leading.Load() {
			if !ours {
				l.tenure.lose(fmt.Errorf("lease %s is held by %s", l.Describe(), record.HolderIdentity))
			}
			return record, raw, nil
		}
		left := l.vigil.left(record, raw, time.Now())
		if ours || left <= 0 {
			vacant := *record
			vacant.HolderIdentity = ""
			return &vacant, raw, nil
		}
		if err := pause(ctx, min(left, l.retry/2)); err != nil {
			return nil, nil, err
		}
	}
}

// pause waits, or returns why ctx ended before.
func pause(ctx context.Context, period time.Duration) error {
	timer := time.NewTimer(period)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stamp sets the times of a record of our own: when a candidate asked for the
// lease, and had to wait, is not when it got it.
func (l *guardedLock) stamp(record *resourcelock.LeaderElectionRecord) {
	record.RenewTime = metav1.Now()
	if !l.leading.Load() {
		l.acquired = record.RenewTime
	}
	record.AcquireTime = l.acquired
}

// OnElected has f called when this process has become the leader, before
// anything starts that only a leader does; that waits until f returns. Without
// leader election f is never called. It must be called before Run.
func (a *App) OnElected(f func()) {
	if a.lock != nil {
		a.lock.elected = append(a.lock.elected, f)
	}
}
