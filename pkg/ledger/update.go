// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const uncounted = "the ledger is new"

// updateInterval is how often Update may write if others want to write as well.
// A leader that counts whenever something changes would else take all writes
// that there are, and nothing new could be admitted. While the record is half full
// of reservations it is crowdedInterval: then it is counts that make room for new
// ones.
const (
	updateInterval  = 200 * time.Millisecond
	crowdedInterval = 100 * time.Millisecond
)

// update is Store.Update. Unlike claims it does not wait longer than the pace
// asks for: a count makes room, so it goes first.
func (k *keeper) update(ctx context.Context, change func(*Record) error) error {
	var failed error
	for failures := 0; ; {
		select {
		case k.turn <- struct{}{}:
		case <-ctx.Done():
			return k.late(failed)
		}
		pause := k.mayUpdate(time.Now())
		if pause == 0 {
			done, err := k.change(ctx, change)
			<-k.turn
			if done || hopeless(err) {
				return err
			}
			failures++
			failed, pause = err, backoff(failures, err)
		} else {
			<-k.turn
		}
		if !sleep(ctx, pause, nil) {
			return k.late(failed)
		}
	}
}

// mayUpdate is how long it is until Update may write, 0 for now.
func (k *keeper) mayUpdate(now time.Time) time.Duration {
	pause := k.pace.wait(now)
	interval := updateInterval
	if k.cached != nil && len(k.cached.record.Reservations) > MaxReservations/2 {
		interval = crowdedInterval
	}
	if passed := now.Sub(k.updated); k.pace.left < 2 && passed < interval {
		pause = max(pause, interval-passed)
	}
	return pause
}

// late is the error of an update whose time is up.
func (k *keeper) late(failed error) error {
	if failed != nil {
		return failed
	}
	return fmt.Errorf("update the ledger of root quota %q: %w", k.root, ErrConflict)
}

// change tries once to change the record. Done reports whether err is the
// result; else err is what went wrong and may be tried again. The caller has the
// turn.
func (k *keeper) change(ctx context.Context, change func(*Record) error) (done bool, err error) {
	if k.trusted && k.cached != nil {
		next := k.cached.record.Clone()
		// Only a write proves that the cached record is the newest.
		if err := change(next); err == nil && !same(next, k.cached.record) {
			return k.finish(ctx, k.cached, next, nil)
		}
	}
	from, err := k.readOrMake(ctx)
	if err != nil {
		return errors.Is(err, ErrBackwards), err
	}
	next := from.record.Clone()
	failed := change(next)
	if failed != nil && !errors.Is(failed, ErrBackwards) || same(next, from.record) {
		return true, failed
	}
	return k.finish(ctx, from, next, failed)
}

func (k *keeper) finish(ctx context.Context, from *snapshot, next *Record, failed error) (done bool, err error) {
	if err := k.commit(ctx, from, next, 0); err != nil {
		return false, err
	}
	k.updated = time.Now()
	return true, failed
}

// readOrMake reads the record, or returns an empty one that is yet to be created.
func (k *keeper) readOrMake(ctx context.Context) (*snapshot, error) {
	found, backwards, err := k.look(ctx)
	switch {
	case apierrors.IsNotFound(err):
		// The serial goes on, so that whoever knew the old one sees no step back.
		return &snapshot{record: &Record{Serial: k.seen.serial, Closed: uncounted}}, nil
	case err != nil:
		return nil, err
	case backwards:
		if _, err := k.closeRestored(ctx, found); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("update the ledger of root quota %q: %w: it is closed until a live count", k.root, ErrBackwards)
	}
	return found, nil
}

// same reports whether two records are written the same.
func same(a, b *Record) bool {
	textA, errA := a.marshal()
	textB, errB := b.marshal()
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}
