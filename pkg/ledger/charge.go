// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// books are the sums of a record. The charge of a quota is, over the quota and
// all below it, what is used, reserved and kept in slots, plus what is
// outstanding of each grant there. Outstanding is what a grant promised beyond
// what its pods hold or have reserved, never below 0 and taken over the whole
// subtree: a revision that moves devices from one child to another asks the
// parent for nothing.
type books struct {
	record *Record
	// used and placed are by quota, with all below. Placed are reservations and slots.
	used, placed map[string]gpu.Amounts
	// promises are by grant, then by quota, with all below.
	promises map[types.UID]map[string]promise
	// pods are what was reserved for a pod of one name, whatever its UID.
	pods map[podName]podSum
}

// promise is one grant at one quota.
type promise struct{ promised, taken gpu.Amounts }

func (p promise) outstanding() gpu.Amounts { return p.promised.Sub(p.taken) }

// podName is what only one pod can have at a time. Of two reservations for it
// one has come to nothing.
type podName struct{ namespace, name, quota string }

type podSum struct {
	amounts gpu.Amounts
	drawn   map[types.UID]gpu.Amounts
}

// open sums the record up.
func open(r *Record) *books {
	b := &books{
		record:   r,
		used:     make(map[string]gpu.Amounts, len(r.Quotas)),
		placed:   make(map[string]gpu.Amounts, len(r.Quotas)),
		promises: make(map[types.UID]map[string]promise, len(r.Grants)),
		pods:     make(map[podName]podSum, len(r.Reservations)),
	}
	for name := range r.Quotas {
		if used := r.Quotas[name].Used; len(used) > 0 {
			addTo(b.used, r.Path(name), used)
		}
	}
	for i := range r.Slots {
		addTo(b.placed, r.home(r.Slots[i].Quota), r.Slots[i].Amounts)
	}
	for i := range r.Grants {
		b.promise(&r.Grants[i])
	}
	for i := range r.Reservations {
		res := &r.Reservations[i]
		e := b.effect(res)
		b.book(res, e)
	}
	return b
}

func (b *books) promise(g *Grant) {
	at := make(map[string]promise, len(g.Objects))
	for i := range g.Objects {
		o := &g.Objects[i]
		for _, quota := range b.record.home(o.Quota) {
			p := at[quota]
			at[quota] = promise{p.promised.Add(o.Envelope), p.taken.Add(o.Held)}
		}
	}
	b.promises[g.Owner] = at
}

// effect is what a reservation adds.
type effect struct {
	// placed is what it adds to reservations, drawn to what was taken of its grant.
	placed, drawn gpu.Amounts
}

// effect of a reservation that is not booked.
func (b *books) effect(res *Reservation) effect {
	sum := b.pods[nameOf(res)]
	e := effect{placed: sum.amounts.Max(res.Amounts).Sub(sum.amounts)}
	if b.draws(res) {
		before := sum.drawn[res.Grant]
		e.drawn = before.Max(res.Amounts).Sub(before)
	}
	return e
}

// book adds a reservation to the sums.
func (b *books) book(res *Reservation, e effect) {
	name := nameOf(res)
	sum := b.pods[name]
	sum.amounts = sum.amounts.Add(e.placed)
	path := b.record.home(res.Quota)
	addTo(b.placed, path, e.placed)
	if len(e.drawn) > 0 {
		if sum.drawn == nil {
			sum.drawn = map[types.UID]gpu.Amounts{}
		}
		sum.drawn[res.Grant] = sum.drawn[res.Grant].Add(e.drawn)
		at := b.promises[res.Grant]
		for _, quota := range path {
			p := at[quota]
			at[quota] = promise{p.promised, p.taken.Add(e.drawn)}
		}
	}
	b.pods[name] = sum
}

// draws reports whether a reservation draws on an object that its grant has.
func (b *books) draws(res *Reservation) bool {
	if res.Grant == "" {
		return false
	}
	g := b.record.grant(res.Grant)
	return g != nil && g.object(res.Object, res.Quota) != nil
}

// outstanding of all grants at a quota.
func (b *books) outstanding(quota string) gpu.Amounts {
	var sum gpu.Amounts
	for _, at := range b.promises {
		if p, ok := at[quota]; ok {
			sum = sum.Add(p.outstanding())
		}
	}
	return sum
}

// reserved is what a quota is charged for beyond what is used.
func (b *books) reserved(quota string) gpu.Amounts {
	return b.placed[quota].Add(b.outstanding(quota))
}

// charge of a quota.
func (b *books) charge(quota string) gpu.Amounts { return b.used[quota].Add(b.reserved(quota)) }

func nameOf(res *Reservation) podName {
	if res.Name == "" { // nothing says that there can be only one
		return podName{string(res.Pod), "", res.Quota}
	}
	return podName{res.Namespace, res.Name, res.Quota}
}

func addTo(sums map[string]gpu.Amounts, path []string, amounts gpu.Amounts) {
	if len(amounts) == 0 {
		return
	}
	for _, quota := range path {
		sums[quota] = sums[quota].Add(amounts)
	}
}

func (r *Record) grant(owner types.UID) *Grant {
	for i := range r.Grants {
		if r.Grants[i].Owner == owner {
			return &r.Grants[i]
		}
	}
	return nil
}

func (g *Grant) object(key, quota string) *GrantObject {
	for i := range g.Objects {
		if g.Objects[i].Key == key && g.Objects[i].Quota == quota {
			return &g.Objects[i]
		}
	}
	return nil
}
