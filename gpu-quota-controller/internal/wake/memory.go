// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/ledger"
)

const (
	// most is how many owners are remembered. One more is left to the back-off
	// of its controller.
	most = 10_000
	// staleAfter is how long an owner is remembered after its last denial:
	// controllers try again after at most 1,000 s.
	staleAfter = 40 * time.Minute
	// inFlight is how long an owner that was woken is given to make its pods
	// before others are woken for the same room.
	inFlight = 2 * time.Second
	// again is the time between being woken and being woken again.
	again = time.Second
)

// resources are the kinds that are woken, by their controllers' kind.
func resources() map[schema.GroupKind]schema.GroupVersionResource {
	return map[schema.GroupKind]schema.GroupVersionResource{
		appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind():  appsv1.SchemeGroupVersion.WithResource("replicasets"),
		appsv1.SchemeGroupVersion.WithKind("StatefulSet").GroupKind(): appsv1.SchemeGroupVersion.WithResource("statefulsets"),
		batchv1.SchemeGroupVersion.WithKind("Job").GroupKind():        batchv1.SchemeGroupVersion.WithResource("jobs"),
	}
}

// entry is an owner whose pod there was no room for.
type entry struct {
	root  string
	owner holdings.Owner
	// claim is what one pod of it needs.
	claim ledger.Claim
	// first and last are when it was denied first, without having been given
	// room since, and last.
	first, last time.Time
	// woken is when it was woken last; zero: it was denied since.
	woken time.Time
	// notBefore is when it may be woken again. Should waking it be in vain for
	// a reason that is not seen here, it is not woken over and over.
	notBefore time.Time
}

// memory is who was denied, by the UID of the controller.
type memory struct {
	mu      sync.Mutex
	entries map[types.UID]*entry
}

// add remembers a denial. An owner that was woken and denied again keeps its
// place.
func (m *memory) add(root string, claim ledger.Claim, owner holdings.Owner, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[owner.UID]
	if e == nil {
		if len(m.entries) >= most {
			return
		}
		e = &entry{first: now}
		m.entries[owner.UID] = e
	}
	e.root, e.owner, e.claim, e.last, e.woken = root, owner, claim, now, time.Time{}
}

// of returns the owners that wait in a tree, those denied first at the front,
// and those that were just woken. It forgets those that need not be known any
// more.
func (m *memory) of(root string, now time.Time) (waiting, woken []entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid, e := range m.entries {
		switch {
		case !e.woken.IsZero() && now.Sub(e.woken) > inFlight, now.Sub(e.last) > staleAfter:
			delete(m.entries, uid)
		case e.root != root:
		case !e.woken.IsZero():
			woken = append(woken, *e)
		case now.Before(e.notBefore):
		default:
			waiting = append(waiting, *e)
		}
	}
	slices.SortFunc(waiting, func(a, b entry) int { return a.first.Compare(b.first) })
	return waiting, woken
}

// wake remembers that owners were woken.
func (m *memory) wake(owners []entry, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range owners {
		if e := m.entries[owners[i].owner.UID]; e != nil && e.last.Equal(owners[i].last) {
			e.woken, e.notBefore = now, now.Add(again)
		}
	}
}

// missed takes back that an owner was woken at a time: it could not be reached.
func (m *memory) missed(uid types.UID, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[uid]; e != nil && e.woken.Equal(at) {
		e.woken = time.Time{}
	}
}

// forget drops an owner.
func (m *memory) forget(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, uid)
}

// roots are the trees in which somebody waits.
func (m *memory) roots() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var roots []string
	for _, e := range m.entries {
		if e.woken.IsZero() {
			roots = append(roots, e.root)
		}
	}
	slices.Sort(roots)
	return slices.Compact(roots)
}

// size is how many owners are remembered.
func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

// choose returns those of the waiting for whom there is room: first those for
// whom a slot is kept, then the others in their order. Those that were just
// woken have their room already, whether they have taken it or not. It changes
// the record.
func choose(record *ledger.Record, waiting, woken []entry) []entry {
	slots := map[types.UID]bool{}
	for i := range record.Slots {
		slots[record.Slots[i].Owner] = true
	}
	slices.SortStableFunc(waiting, func(a, b entry) int {
		switch hasA, hasB := slots[a.claim.Owner], slots[b.claim.Owner]; {
		case hasA == hasB:
			return 0
		case hasA:
			return -1
		}
		return 1
	})
	admit := func(e *entry) bool {
		claim := e.claim
		// The pod that was denied is gone; the next one will be another.
		claim.Pod = "next of " + e.owner.UID
		return record.Admit(claim).Outcome == ledger.Admitted
	}
	for i := range woken {
		admit(&woken[i])
	}
	var chosen []entry
	for i := range waiting {
		if admit(&waiting[i]) {
			chosen = append(chosen, waiting[i])
		}
	}
	return chosen
}
