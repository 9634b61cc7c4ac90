// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"encoding/json"
	"slices"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Grows reports whether an object may ask for more than before, of anything:
// more pods, or more of a resource, or on other nodes; or if its template
// changes in a way that takes room for one pod more. What is not known counts
// as more, unless it was not known before in the same way.
func (o Object) Grows() bool {
	if o.After.Unknown != "" && !same(o.Before, o.After) {
		return true
	}
	if o.Template && slices.ContainsFunc(o.After.Groups, func(g gpu.Group) bool { return g.Stuck && !g.Shape.Resources.IsZero() }) {
		return true
	}
	return beyond(sum(o.After), sum(o.Before))
}

// Shrinks reports whether an object asks for less than before, of anything.
func (o Object) Shrinks() bool { return beyond(sum(o.Before), sum(o.After)) }

// Grows reports whether any object may ask for more than before.
func (c Change) Grows() bool { return slices.ContainsFunc(c.Objects, Object.Grows) }

// Shrinks reports whether any object asks for less than before.
func (c Change) Shrinks() bool { return slices.ContainsFunc(c.Objects, Object.Shrinks) }

// sort is one resource on one sort of nodes.
type sort struct{ resource, pins string }

// total is how much there is of a sort, at the least and at the most.
type total struct {
	least, most gpu.Amount
	unbounded   bool
}

func sum(e gpu.Estimate) map[sort]total {
	sums := map[sort]total{}
	for _, g := range e.Groups {
		pins, err := json.Marshal(g.Shape.Pins)
		if err != nil {
			pins = nil // strings in maps and lists always encode
		}
		for resource, amount := range g.Shape.Resources {
			key := sort{resource, string(pins)}
			t := sums[key]
			t.least, t.most = t.least.Add(amount.Times(g.Min)), t.most.Add(amount.Times(max(g.Min, g.Max)))
			t.unbounded = t.unbounded || g.Max < 0
			sums[key] = t
		}
	}
	return sums
}

// beyond reports whether a has more of anything than b.
func beyond(a, b map[sort]total) bool {
	for key, more := range a {
		less := b[key]
		if more.least.Cmp(less.least) > 0 || !less.unbounded && (more.unbounded || more.most.Cmp(less.most) > 0) {
			return true
		}
	}
	return false
}

// Covers reports whether an answer to r also answers other: the same revision of
// the same owner, of which a part was applied since. What is left to be done has
// to lead to where r leads to.
func (r Request) Covers(other Request) bool {
	if r.UID != other.UID || r.Revision != other.Revision || r.Remote != other.Remote {
		return false
	}
	for _, o := range other.Objects {
		i := slices.IndexFunc(r.Objects, func(own Object) bool { return own.Key == o.Key })
		if i < 0 && o.Grows() || i >= 0 && !same(r.Objects[i].After, o.After) {
			return false
		}
	}
	for _, q := range other.Quotas {
		if !slices.ContainsFunc(r.Quotas, func(own quotav1.GPUQuota) bool { return own.Name == q.Name && same(own.Spec, q.Spec) }) {
			return false
		}
	}
	for _, name := range other.RemovedQuotas {
		if !slices.Contains(r.RemovedQuotas, name) {
			return false
		}
	}
	return true
}

// same reports whether two values are the same on the wire, where one of them
// may have been already.
func same(a, b any) bool {
	x, xErr := json.Marshal(a)
	y, yErr := json.Marshal(b)
	return xErr == nil && yErr == nil && bytes.Equal(x, y)
}
