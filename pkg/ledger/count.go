// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/weir-gitops/weir/pkg/gpu"
)

var (
	// ErrStale is what an older leader, or one that knows an older state of the
	// pods than the record does, is refused with.
	ErrStale = errors.New("the ledger is newer than what was to be written")
	// ErrBackwards says that time went back, as after etcd was restored from a
	// snapshot. The record is closed until a live count.
	ErrBackwards = errors.New("the ledger or the pods went back to an older state")
)

// Count is what a recount of all pods of a tree found.
type Count struct {
	// Term of the leader that counted.
	Term int64
	// ResourceVersion of pods up to which was counted.
	ResourceVersion string
	// Live: what was counted began as a list that was read from etcd in this term,
	// and after the record was closed, if it was. Only such a count opens a record.
	Live bool
	// Used is by quota, of its own pods. A quota that is absent has none.
	Used map[string]gpu.Amounts
	// Settled reports of a reservation that it is over: Used has its pod, or the
	// pod is terminal or gone, or there never was one. Nil settles none.
	Settled func(Reservation) bool
	// Slots are all that are kept: what owners may still replace, given what is
	// held. What open reservations took of a slot is subtracted by Apply.
	Slots []Slot
	// Grants are by owner. A grant that is absent stays as it is.
	Grants map[types.UID]GrantCount
}

// GrantCount is what was found of one grant.
type GrantCount struct {
	// Held is by object key what the counted pods hold that are attributed to it.
	// An object that is absent holds nothing.
	Held map[string]gpu.Amounts
	// Landed are the keys of objects whose pods all exist, or that finished or are gone: see Record.Land.
	Landed []string
}

// Lead makes term the record's. It fails with ErrStale if the record has been
// led by a later one.
func (r *Record) Lead(term int64) error {
	if term < r.Term {
		return fmt.Errorf("%w: the leader of term %d was succeeded by that of term %d", ErrStale, term, r.Term)
	}
	r.Term = term
	return nil
}

// Close stops admissions until the next live count. Why is told to whoever asks
// for devices; the first reason stays.
func (r *Record) Close(why string) {
	if r.Closed == "" {
		r.Closed = why
	}
}

// Apply writes a count into the record: totals, reservations that are settled,
// slots and what grants hold, all at once, and opens it. It fails with ErrStale,
// and the record is as it was, if a later leader has written, if a count that is
// not Live is to open a closed record, or if the pods were counted up to an
// earlier resourceVersion than the record's by another leader. If the same
// leader counted up to a later one before, its source went back: Apply closes
// the record and fails with ErrBackwards; Store.Update writes that.
func (r *Record) Apply(count Count) error {
	if err := r.accept(count); err != nil {
		return err
	}
	r.Term, r.CountedTo, r.Closed = count.Term, count.ResourceVersion, ""
	for name, q := range r.Quotas {
		q.Used = bounded(count.Used[name])
		r.Quotas[name] = q
	}
	if count.Settled != nil {
		r.Reservations = slices.DeleteFunc(r.Reservations, count.Settled)
	}
	for i := range r.Grants {
		g := &r.Grants[i]
		if found, ok := count.Grants[g.Owner]; ok {
			for j := range g.Objects {
				g.Objects[j].Held = bounded(found.Held[g.Objects[j].Key])
			}
		}
	}
	for owner, found := range count.Grants {
		r.land(owner, found.Landed)
	}
	r.keepSlots(count.Slots)
	return nil
}

// accept says whether a count may be applied.
func (r *Record) accept(count Count) error {
	order, err := r.compare(count)
	switch {
	case err != nil:
		return err
	case count.Term < r.Term:
		return r.Lead(count.Term)
	case r.Closed != "" && !count.Live:
		return fmt.Errorf("%w: it is closed and opens for a live count only: %s", ErrStale, r.Closed)
	case order >= 0 || r.Closed != "": // an older one was counted live after a restore
		return nil
	case count.Term > r.Term:
		return fmt.Errorf("%w: it was counted up to resourceVersion %s, this count is of %s", ErrStale, r.CountedTo, count.ResourceVersion)
	}
	r.Close("pods are at an older resourceVersion than before, as after etcd was restored")
	return fmt.Errorf("%w: pods were counted up to resourceVersion %s and now up to %s", ErrBackwards, r.CountedTo, count.ResourceVersion)
}

// compare orders the count and what the record was counted up to.
func (r *Record) compare(count Count) (int, error) {
	if r.CountedTo == "" {
		return 1, nil
	}
	order, err := resourceversion.CompareResourceVersion(count.ResourceVersion, r.CountedTo)
	if err != nil {
		return 0, fmt.Errorf("compare resourceVersion %q of the count with %q of the ledger: %w", count.ResourceVersion, r.CountedTo, err)
	}
	return order, nil
}

// keepSlots replaces the slots. Pods that were admitted into a slot and are not
// counted yet hold their part of it in their reservations. Those that the record
// has no room for are left out, the last first: a count has to fit, a slot only
// keeps others from being faster.
func (r *Record) keepSlots(slots []Slot) {
	taken := map[slotKey]map[string]gpu.Amounts{}
	for i := range r.Reservations {
		res := &r.Reservations[i]
		if res.Slot == "" {
			continue
		}
		key := slotKey{res.Slot, res.Quota}
		if taken[key] == nil {
			taken[key] = map[string]gpu.Amounts{}
		}
		// Two of the same name are charged for once and take once.
		taken[key][res.Namespace+"/"+res.Name] = taken[key][res.Namespace+"/"+res.Name].Max(res.Amounts)
	}
	r.Slots = nil
	room := MaxBytes - slotBytes - r.size()
	for _, slot := range slots {
		for _, amounts := range taken[slotKey{slot.Owner, slot.Quota}] {
			slot.Amounts = slot.Less(amounts)
		}
		slot.Amounts = bounded(slot.Amounts)
		if room -= sizeOf(slot); !slot.Amounts.IsZero() && room > 0 {
			r.Slots = append(r.Slots, slot)
		}
	}
}

type slotKey struct {
	owner types.UID
	quota string
}
