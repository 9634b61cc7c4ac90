// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// slotTime is how long a slot is kept for a workload that does not use it.
const slotTime = 5 * time.Minute

// slots are what the workloads of a tree may replace, because pods of theirs
// ended and they want as many as before.
type slots map[types.UID]*slot

// slot is that of one workload.
type slot struct {
	// owner is empty but for the UID as long as it is only known from the
	// record of an earlier leader.
	owner     holdings.Owner
	namespace string
	lost      []loss
	// wish is what the owner wanted when it was asked, at a time of the clock.
	// known is false if it could not be asked yet.
	wish  holdings.Wish
	known bool
	asked time.Time
}

// loss is what one pod held.
type loss struct {
	amounts gpu.Amounts
	until   time.Time
	// either: it was to be in one of several classes.
	either bool
}

// adopt takes over the slots of a record, with their full time.
func (s slots) adopt(recorded []ledger.Slot, now time.Time) {
	for _, r := range recorded {
		if s[r.Owner] == nil {
			s[r.Owner] = &slot{owner: holdings.Owner{UID: r.Owner}, namespace: r.Namespace}
		}
		s[r.Owner].lost = append(s[r.Owner].lost, loss{r.Amounts, now.Add(slotTime), r.Either})
	}
}

// lose adds what a pod of an owner held.
func (s slots) lose(owner holdings.Owner, namespace string, amounts gpu.Amounts, now time.Time) {
	if s[owner.UID] == nil {
		s[owner.UID] = &slot{namespace: namespace}
	}
	s[owner.UID].owner = owner
	s[owner.UID].lost = append(s[owner.UID].lost, loss{amounts, now.Add(slotTime), len(amounts) > 1})
}

// pods are the pods of one owner.
type pods struct {
	// holding is how many hold devices, and succeeded how many have succeeded.
	holding, succeeded int64
	// began is what those ask for that were not there at the last count.
	began []gpu.Amounts
}

// settle ends what is over: slots whose time is over, that were taken by pods
// which are counted now, or that their owners want no more.
func (s slots) settle(of map[types.UID]pods, now time.Time) {
	for uid, slot := range s {
		for i := range slot.lost {
			if last := now.Add(slotTime); slot.lost[i].until.After(last) {
				slot.lost[i].until = last // the clock went back
			}
		}
		slot.lost = slices.DeleteFunc(slot.lost, func(l loss) bool { return !now.Before(l.until) })
		p := of[uid]
		most := int64(-1)
		if slot.known {
			most = slot.wish.Most(p.succeeded)
		}
		if most >= 0 {
			// The latest losses are kept: what an owner had last is what it wants.
			missing := max(0, most-p.holding)
			if extra := int64(len(slot.lost)) - missing; extra > 0 {
				slot.lost = slot.lost[extra:]
			}
		} else {
			for _, amounts := range p.began {
				slot.take(amounts)
			}
		}
		if len(slot.lost) == 0 {
			delete(s, uid)
		}
	}
}

// take lets a pod use what was lost, the oldest loss first.
func (s *slot) take(amounts gpu.Amounts) {
	for i := range s.lost {
		l := &s.lost[i]
		rest := amounts.Sub(l.amounts)
		l.amounts = ledger.Slot{Amounts: l.amounts, Either: l.either}.Less(amounts.Sub(rest))
		if amounts = rest; amounts.IsZero() {
			break
		}
	}
	s.lost = slices.DeleteFunc(s.lost, func(l loss) bool { return l.amounts.IsZero() })
}

// kept returns the slots as the record has them, sorted by owner. Those of
// namespaces without a quota are left out.
func (s slots) kept(quota func(namespace string) string) []ledger.Slot {
	var kept []ledger.Slot
	for uid, slot := range s {
		at := quota(slot.namespace)
		if at == "" {
			continue
		}
		var sum gpu.Amounts
		either := false
		for _, l := range slot.lost {
			sum, either = sum.Add(l.amounts), either || l.either
		}
		if !sum.IsZero() {
			kept = append(kept, ledger.Slot{Owner: uid, Namespace: slot.namespace, Quota: at, Amounts: sum, Either: either})
		}
	}
	slices.SortFunc(kept, func(a, b ledger.Slot) int { return cmp.Compare(a.Owner, b.Owner) })
	return kept
}
