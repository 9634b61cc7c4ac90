// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
)

const restored = "the ledger is older than it was, as after etcd was restored or the ledger was removed"

// decide answers those of the waiting that can be answered and returns the
// others. The caller has the turn.
func (k *keeper) decide(ctx context.Context, waiting []*waiter) ([]*waiter, error) {
	from, err := k.current(ctx, waiting)
	if err != nil {
		return waiting, err
	}
	next, decisions := judge(from.record, waiting)
	if !from.live && !proven(decisions) {
		// Only a write proves what was decided by a cached record.
		if from, err = k.readLive(ctx); err != nil {
			return waiting, err
		}
		next, decisions = judge(from.record, waiting)
	}
	pods := 0
	for i := range decisions {
		if decisions[i].Changed {
			pods++
		}
	}
	if pods > 0 {
		if err := k.commit(ctx, from, next, pods); err != nil {
			return waiting, err
		}
	}
	return k.answerAll(ctx, waiting, decisions, next.CountedTo), nil
}

// current is the record to decide by: the cached one if it was the newest the
// last time and nobody waits for a newer one.
func (k *keeper) current(ctx context.Context, waiting []*waiter) (*snapshot, error) {
	for _, w := range waiting {
		if w.parked {
			return k.readLive(ctx)
		}
	}
	if k.trusted && k.cached != nil {
		return k.cached, nil
	}
	return k.readLive(ctx)
}

func judge(record *Record, waiting []*waiter) (*Record, []Decision) {
	next := record.Clone()
	d := newDesk(next)
	decisions := make([]Decision, len(waiting))
	for i, w := range waiting {
		decisions[i] = d.admit(w.claim)
	}
	return next, decisions
}

// proven reports whether a write will prove all decisions.
func proven(decisions []Decision) bool {
	changed := false
	for i := range decisions {
		if decisions[i].Outcome != Admitted {
			return false
		}
		changed = changed || decisions[i].Changed
	}
	return changed
}

// answerAll answers what is final and returns those who have reason to hope.
func (k *keeper) answerAll(ctx context.Context, waiting []*waiter, decisions []Decision, countedTo string) []*waiter {
	var parked []*waiter
	for i, w := range waiting {
		d := decisions[i]
		if (d.Outcome == Exceeded || d.Outcome == Busy) && !w.denied(d, countedTo) {
			w.parked = true
			parked = append(parked, w)
			continue
		}
		w.answer <- answer{Decision: d}
	}
	k.freshen(ctx, parked)
	return parked
}

// denied reports whether a claim that has no room has waited long enough: what
// was counted is newer than the claim, or its time is up.
func (w *waiter) denied(d Decision, countedTo string) bool {
	if time.Since(w.arrived) >= patience {
		return true
	}
	if d.Outcome == Busy || w.fresh == "" || countedTo == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(countedTo, w.fresh)
	return err == nil && order >= 0
}

// freshen finds out for new ones among the parked which state of the pods a
// count has to have seen. If that fails they wait until their time is up.
func (k *keeper) freshen(ctx context.Context, parked []*waiter) {
	version := ""
	for _, w := range parked {
		if w.fresh != "" {
			continue
		}
		if version == "" {
			err := request(ctx, func(ctx context.Context) (err error) {
				version, err = k.store.podsVersion(ctx)
				return err
			})
			if err != nil {
				return
			}
		}
		w.fresh = version
	}
}

// readLive reads the record, learns from its serial what others wrote, and
// closes it if it went back in time. The caller has the turn.
func (k *keeper) readLive(ctx context.Context) (*snapshot, error) {
	found, backwards, err := k.look(ctx)
	if err != nil || !backwards {
		return found, err
	}
	return k.closeRestored(ctx, found)
}

// look reads the record and reports whether it went back in time.
func (k *keeper) look(ctx context.Context) (found *snapshot, backwards bool, err error) {
	k.cached = nil
	err = request(ctx, func(ctx context.Context) (err error) {
		found, err = k.store.read(ctx, k.root)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if backwards, err = k.seen.before(found); err != nil || backwards {
		return found, backwards, err
	}
	if k.seen.serial > 0 {
		others := found.record.Serial - k.seen.serial
		k.pace.observe(others, time.Now())
		k.trusted = others == 0
	}
	k.see(found)
	return found, false, nil
}

// closeRestored has all writers know that a record went back in time.
func (k *keeper) closeRestored(ctx context.Context, found *snapshot) (*snapshot, error) {
	k.trusted = false
	if found.record.Closed != "" {
		k.see(found)
		return found, nil
	}
	next := found.record.Clone()
	next.Close(restored)
	if err := k.commit(ctx, found, next, 0); err != nil {
		return nil, err
	}
	return k.cached, nil
}

// see takes note of the newest record.
func (k *keeper) see(found *snapshot) {
	k.seen = latest{found.record.Serial, found.object.ResourceVersion}
	k.cached = &snapshot{record: found.record, object: found.object}
}

// commit writes a record. After a failure the next one is read live, which also
// shows what became of a write whose answer was lost.
func (k *keeper) commit(ctx context.Context, from *snapshot, next *Record, pods int) error {
	var written *snapshot
	var bytes int
	err := request(ctx, func(ctx context.Context) (err error) {
		written, bytes, err = k.store.write(ctx, k.root, from, next)
		return err
	})
	if err != nil {
		k.cached, k.trusted = nil, false
		if lost(err) {
			k.store.metrics.Conflict(k.root)
		}
		return err
	}
	k.pace.observe(1, time.Now())
	k.see(written)
	k.store.metrics.Wrote(k.root, bytes, pods)
	return nil
}
