// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// ErrFull says that a record has no room for a grant.
var ErrFull = errors.New("the ledger of the root quota is full: split the tree of quotas, or the revision")

// Grant opens a grant, or replaces that of the same owner. What counted pods
// hold of an object carries over from the old grant where g does not say it, and
// pods on their way go on drawing on objects that are in both. It does not look
// at the limits: Fit does. Term is the leader's, as for Lead. It fails with
// ErrFull if the record has no room, and leaves the record as it was but for the term.
//
// What a revision takes away belongs into the grant as well: an object that
// shrinks or goes, with what stays of it as its envelope and what it holds. So
// the entry is charged for the larger of what was and what will be until the
// pods are gone, and what they held goes to those that grow and to nobody else.
func (r *Record) Grant(term int64, g Grant) error {
	if err := r.Lead(term); err != nil {
		return err
	}
	g = r.carry(g)
	for _, o := range g.Objects {
		if _, ok := r.Quotas[o.Quota]; !ok {
			return fmt.Errorf("grant %s %s/%s: quota %q of %s is not in the ledger", g.Kind, g.Namespace, g.Name, o.Quota, o.Key)
		}
	}
	i := slices.IndexFunc(r.Grants, func(old Grant) bool { return old.Owner == g.Owner })
	switch {
	case len(g.Objects) == 0:
		return r.Release(term, g.Owner)
	case r.size()+sizeOf(g)+g.growth() > admitBytes:
		return fmt.Errorf("grant %s %s/%s: %w", g.Kind, g.Namespace, g.Name, ErrFull)
	case i >= 0:
		r.Grants[i] = g
	default:
		r.Grants = append(r.Grants, g)
	}
	return nil
}

// carry returns a copy of g in which objects without Held have that of the
// grant that it replaces.
func (r *Record) carry(g Grant) Grant {
	g.Objects = cloneObjects(g.Objects)
	old := r.grant(g.Owner)
	if old == nil {
		old = &Grant{}
	}
	for i := range g.Objects {
		o := &g.Objects[i]
		o.Envelope = bounded(o.Envelope)
		if o.Held != nil {
			o.Held = bounded(o.Held)
			continue
		}
		if before := old.object(o.Key, o.Quota); before != nil {
			o.Held = before.Held.Clone()
		}
	}
	return g
}

// Land ends what was promised to objects of a grant, because their pods exist,
// or they finished, are gone, or had their time: their envelopes fall to what
// their pods hold and have reserved. One that holds more than it was promised,
// as while it shrinks, stays in the grant, since others in it wait for that. A
// grant that has nothing left to promise is gone. Keys and owners that are
// unknown are no error.
func (r *Record) Land(term int64, owner types.UID, keys ...string) error {
	if err := r.Lead(term); err != nil {
		return err
	}
	r.land(owner, keys)
	return nil
}

// Release ends a grant.
func (r *Record) Release(term int64, owner types.UID) error {
	if err := r.Lead(term); err != nil {
		return err
	}
	r.Grants = slices.DeleteFunc(r.Grants, func(g Grant) bool { return g.Owner == owner })
	return nil
}

func (r *Record) land(owner types.UID, keys []string) {
	g := r.grant(owner)
	if g == nil || len(keys) == 0 {
		return
	}
	promising := false
	g.Objects = slices.DeleteFunc(g.Objects, func(o GrantObject) bool {
		taken := o.Held.Add(r.drawn(owner, &o))
		landed := slices.Contains(keys, o.Key)
		promising = promising || !landed && !taken.Covers(o.Envelope)
		return landed && o.Envelope.Covers(taken)
	})
	for i := range g.Objects {
		if o := &g.Objects[i]; slices.Contains(keys, o.Key) {
			taken := o.Held.Add(r.drawn(owner, o))
			o.Envelope = o.Envelope.Sub(o.Envelope.Sub(taken))
		}
	}
	if !promising {
		r.Grants = slices.DeleteFunc(r.Grants, func(g Grant) bool { return g.Owner == owner })
	}
}

// drawn is what open reservations draw on an object of a grant, each name once.
func (r *Record) drawn(owner types.UID, o *GrantObject) gpu.Amounts {
	names := map[podName]gpu.Amounts{}
	var sum gpu.Amounts
	for i := range r.Reservations {
		if res := &r.Reservations[i]; res.Grant == owner && res.Object == o.Key && res.Quota == o.Quota {
			names[nameOf(res)] = names[nameOf(res)].Max(res.Amounts)
		}
	}
	for _, amounts := range names {
		sum = sum.Add(amounts)
	}
	return sum
}

// Outstanding is what the grant of an owner still promises beyond what its pods
// hold and have reserved, at a quota and all below it.
func (r *Record) Outstanding(owner types.UID, quota string) gpu.Amounts {
	return open(r).promises[owner][quota].outstanding()
}
