// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Claim is what a pod asks to be admitted for.
type Claim struct {
	Pod             types.UID
	Namespace, Name string
	// Quota that the namespace belongs to.
	Quota   string
	Amounts gpu.Amounts
	// Total is how many units the pod asks for if Amounts has more because the
	// pod could land on several classes. 0 is the sum of Amounts.
	Total gpu.Amount
	// Owner is whose slot the pod may take: its controller, or the Deployment of its ReplicaSet. "" is none.
	Owner types.UID
	// Chain are the keys of the pod's controller and of the controllers above it,
	// as GrantObject.Key has them, for the grant that it may draw on.
	Chain []string
}

// Admit decides a claim. If it says Admitted and Changed, the record has the
// reservation. A pod that has its reservation already is admitted again. Else it
// is charged for, in this order: what an earlier reservation for the same name
// was charged for, the slot of its owner, the grant that an object of its chain
// has, free quota on the whole path to the root. The first three cost nothing
// and are given whatever the limits are.
func (r *Record) Admit(c Claim) Decision {
	return newDesk(r).admit(c)
}

// desk admits several claims on one record.
type desk struct {
	*books
	// bytes is the encoded size of the record with what was admitted so far.
	bytes int
}

func newDesk(r *Record) *desk {
	return &desk{open(r), r.size()}
}

func (d *desk) admit(c Claim) Decision {
	known := slices.IndexFunc(d.record.Reservations, func(res Reservation) bool { return res.Pod == c.Pod })
	if known >= 0 && d.record.Reservations[known].Amounts.Covers(c.Amounts) {
		return Decision{Outcome: Admitted}
	}
	path := d.record.Path(c.Quota)
	switch {
	case c.Pod == "":
		return Decision{Outcome: Never, Reason: "a pod without a UID cannot be charged for"}
	case !countable(c.Amounts):
		return Decision{Outcome: Never, Reason: "the pod asks for more GPUs than can be counted"}
	case len(path) == 0:
		return Decision{Outcome: Closed, Reason: fmt.Sprintf("GPUQuota %q is not in its ledger yet: try again in a moment", c.Quota)}
	case c.Amounts.IsZero() || !d.record.limits(path):
		return Decision{Outcome: Admitted}
	case d.record.Closed != "":
		return Decision{Outcome: Closed, Reason: "no GPUs are given out until what is held has been counted: " + d.record.Closed}
	}
	res := Reservation{Pod: c.Pod, Namespace: c.Namespace, Name: c.Name, Quota: c.Quota, Amounts: c.Amounts.Clone()}
	if known >= 0 {
		old := d.record.Reservations[known]
		res.Amounts, res.Grant, res.Object, res.Slot = res.Amounts.Max(old.Amounts), old.Grant, old.Object, old.Slot
	}
	if res.Grant == "" {
		res.Grant, res.Object = d.record.attribute(c)
	}
	e := d.effect(&res)
	slot, fromSlot := d.slot(c, e.placed)
	if !fromSlot.IsZero() || d.replaces(c) {
		res.Slot = c.Owner
	}
	decision := d.judge(c, path, d.needs(path, &res, e, fromSlot))
	if decision.Outcome != Admitted {
		return decision
	}
	if busy := d.room(&res, known); busy != "" {
		return Decision{Outcome: Busy, Reason: busy}
	}
	d.enter(res, e, known, slot, fromSlot)
	decision.Changed = true
	return decision
}

// limits reports whether any quota of the path does more than count pods.
func (r *Record) limits(path []string) bool {
	return slices.ContainsFunc(path, func(quota string) bool { return r.Quotas[quota].admission() != quotav1.Off })
}

// attribute finds the grant that a pod of the chain draws on: that of the object
// that is nearest to the pod.
func (r *Record) attribute(c Claim) (owner types.UID, object string) {
	for _, key := range c.Chain {
		for i := range r.Grants {
			if r.Grants[i].object(key, c.Quota) != nil {
				return r.Grants[i].Owner, key
			}
		}
	}
	return "", ""
}

// slot is the index of the slot that the claim may take from and what it takes
// of what it adds.
func (d *desk) slot(c Claim, adds gpu.Amounts) (int, gpu.Amounts) {
	if c.Owner == "" {
		return -1, nil
	}
	// The UID is what the pod says. That of somebody else's workload, in another
	// namespace, is of no use to it.
	i := slices.IndexFunc(d.record.Slots, func(s Slot) bool {
		return s.Owner == c.Owner && s.Quota == c.Quota && s.Namespace == c.Namespace
	})
	if i < 0 {
		return -1, nil
	}
	return i, adds.Sub(adds.Sub(d.record.Slots[i].Amounts))
}

// replaces reports whether an earlier reservation for the same name took from the
// slot that the claim may take from.
func (d *desk) replaces(c Claim) bool {
	name := nameOf(&Reservation{Pod: c.Pod, Namespace: c.Namespace, Name: c.Name, Quota: c.Quota})
	return c.Owner != "" && slices.ContainsFunc(d.record.Reservations, func(res Reservation) bool {
		return res.Slot == c.Owner && nameOf(&res) == name
	})
}

// needs is the free quota that a reservation takes at each quota of the path.
func (d *desk) needs(path []string, res *Reservation, e effect, fromSlot gpu.Amounts) []gpu.Amounts {
	adds := e.placed.Sub(fromSlot)
	needs := make([]gpu.Amounts, len(path))
	for i, quota := range path {
		needs[i] = adds
		if len(e.drawn) > 0 {
			p := d.promises[res.Grant][quota]
			less := p.outstanding().Sub(promise{p.promised, p.taken.Add(e.drawn)}.outstanding())
			needs[i] = adds.Sub(less)
		}
	}
	return needs
}

// judge holds what a claim needs against the limits of its path.
func (d *desk) judge(c Claim, path []string, needs []gpu.Amounts) Decision {
	var never, over []Over
	var warnings []string
	for i, quota := range path {
		q := d.record.Quotas[quota]
		mode := q.admission()
		if mode == quotav1.Off || needs[i].IsZero() {
			continue
		}
		barred, exceeded := q.bars(quota, c), d.exceeds(quota, needs[i])
		if mode == quotav1.Warn {
			for _, o := range append(barred, exceeded...) {
				warnings = append(warnings, o.warning())
			}
			continue
		}
		for _, o := range exceeded {
			if o.Hard.Cmp(c.Amounts[o.Device]) < 0 {
				o.Requested = c.Amounts[o.Device]
				barred = append(barred, o)
			}
		}
		never, over = append(never, barred...), append(over, exceeded...)
	}
	slices.Sort(warnings)
	switch {
	case len(never) > 0:
		sortOver(never, path)
		return Decision{Outcome: Never, Over: never}
	case len(over) > 0:
		sortOver(over, path)
		return Decision{Outcome: Exceeded, Over: over}
	}
	return Decision{Outcome: Admitted, Warnings: warnings}
}

// exceeds returns the limits of a quota that leave no room for what is needed.
func (d *desk) exceeds(quota string, need gpu.Amounts) []Over {
	var over []Over
	hard := d.record.Quotas[quota].Hard
	used, reserved := d.used[quota], d.reserved(quota)
	for device, requested := range need {
		limit, limited := hard[device]
		if !limited {
			continue
		}
		o := Over{Quota: quota, Device: device, Requested: requested, Used: used[device], Reserved: reserved[device], Hard: limit}
		if !o.By().IsZero() {
			over = append(over, o)
		}
	}
	return over
}

// room says why a reservation has no room in the record, or "".
func (d *desk) room(res *Reservation, known int) string {
	switch {
	case known < 0 && len(d.record.Reservations) >= MaxReservations:
		return "too many pods are on their way under the same root quota: try again in a moment"
	case d.bytes+sizeOf(res)+len(`"reservations":[],`) > admitBytes:
		return "the ledger of the root quota is full: try again in a moment, and split the tree of quotas if this stays"
	}
	return ""
}

// enter puts a reservation into the record and the books.
func (d *desk) enter(res Reservation, e effect, known, slot int, fromSlot gpu.Amounts) {
	path := d.record.home(res.Quota)
	if !fromSlot.IsZero() {
		s := &d.record.Slots[slot]
		before := s.Amounts
		s.Amounts = s.Less(fromSlot)
		less := before.Sub(s.Amounts)
		if s.Amounts.IsZero() {
			d.record.Slots = slices.Delete(d.record.Slots, slot, slot+1)
		}
		for _, quota := range path {
			d.placed[quota] = d.placed[quota].Sub(less)
		}
	}
	d.book(&res, e)
	d.bytes += sizeOf(&res)
	if known >= 0 {
		d.record.Reservations[known] = res
		return
	}
	d.record.Reservations = append(d.record.Reservations, res)
}
