// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Set is what this process knows of the objects of one owner. Its reconciler
// is the only one to change it; watches read it at the same time.
type Set struct {
	owner types.NamespacedName
	uid   types.UID
	rules atomic.Pointer[exemption.Rules]
	// tolerates is set if drift is left as it is.
	tolerates atomic.Bool

	mu   sync.Mutex
	busy bool
	// missed are the last records of members that changed while the set was
	// busy.
	missed  map[inventory.Ref]*watch.Record
	checks  *health.Checks
	members map[inventory.Ref]*member
	// planned is what the last plan that was only shown made of each object.
	planned map[inventory.Ref]planned
}

// member is one object of a set.
type member struct {
	// desired is what was last applied. Without data it can be compared but
	// not applied again; then the owner has to build it anew.
	desired Desired
	// owned is the fingerprint that the last apply returned.
	owned watch.Owned
	// skipped members are left alone: applied once, or asked not to be.
	skipped bool
	// available is how many replicas served when the member was last healthy.
	available int64

	contest contest
	// since is when the fingerprint was set, and inspected what was found of
	// a live object that has another one.
	since     time.Time
	inspected *inspection
	// accepted is a fingerprint that the live object has although the last
	// apply returned another one: somebody changed it at once.
	accepted *watch.Owned
	// finished is how the member was when it was seen to have run to completion.
	finished *health.Result
}

// contest remembers the reverts of one member.
type contest struct {
	// fields that our last apply claimed; known only after a revert.
	fields *fieldpath.Set
	// reverts of each path against each manager.
	reverts map[Contender][]time.Time
}

// Exempt sets which fields of the owner's objects are left to others. It comes
// before Watch and Apply; what was applied under other rules is looked at again
// by then.
func (s *Set) Exempt(rules *exemption.Rules) { s.rules.Store(rules) }

// Rules returns what Exempt has set.
func (s *Set) Rules() *exemption.Rules { return s.rules.Load() }

// Tolerate says whether live objects may differ from what was applied. Their
// health counts all the same then.
func (s *Set) Tolerate(drift bool) { s.tolerates.Store(drift) }

// Known reports whether anything was applied in this process.
func (s *Set) Known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.members) > 0
}

// Member reports whether the set has the object.
func (s *Set) Member(ref inventory.Ref) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.members[ref]
	return ok
}

// Skipped reports whether a member of the set is left alone.
func (s *Set) Skipped(ref inventory.Ref) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[ref]
	return m != nil && m.skipped
}

// Retain drops the members that are not in keep.
func (s *Set) Retain(keep inventory.Inventory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range s.members {
		if _, ok := keep[ref]; !ok {
			delete(s.members, ref)
		}
	}
}

func (s *Set) get(ref inventory.Ref) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[ref]
}

// put records the outcome of applying d. Secrets are not kept: their drift is
// corrected from a new build.
func (s *Set) put(d *Desired, owned watch.Owned, skipped bool) {
	kept := *d
	kept.Object = nil
	if d.Ref.Kind == "Secret" && d.Ref.Group == "" {
		kept.data = nil
		if d.Object != nil {
			kept.fields = fieldsOf(d.Object)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[d.Ref]
	if m == nil || m.desired.Digest != d.Digest {
		m = &member{}
		s.members[d.Ref] = m
	}
	m.desired, m.owned, m.skipped = kept, owned, skipped
	m.since, m.inspected, m.accepted = time.Now(), nil, nil
}

// assume records that a member may be as d says by now. To put back what it was
// before would undo a write of our own: until the next apply, drift from d is
// corrected.
func (s *Set) assume(d *Desired) {
	if s.Member(d.Ref) {
		s.put(d, watch.Owned{}, false)
	}
}

// begin has changes of the members kept until the reconciler has written.
func (s *Set) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy, s.missed = true, map[inventory.Ref]*watch.Record{}
}

// end reports whether a member was changed meanwhile and is not as the last
// apply left it. Changes of our own are.
func (s *Set) end(scaled func(inventory.Ref) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	missed := s.missed
	s.busy, s.missed = false, nil
	for ref, record := range missed {
		if m := s.members[ref]; m != nil && !m.skipped && !m.matches(record, scaled(ref)) {
			return true
		}
	}
	return false
}

// note remembers that a member was seen to have run to completion: by the time
// that the owner looks, its time to live may have removed it.
func (s *Set) note(ref inventory.Ref, record *watch.Record) {
	if record == nil || !record.Health.Finished {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.members[ref]; m != nil && !m.skipped && m.matches(record, false) {
		outcome := record.Health
		m.finished = &outcome
	}
}

// noted returns what was noted of a member, or nil.
func (s *Set) noted(m *member) *health.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.finished
}

// concerns decides whether a change of a live object is worth a look, and how
// soon. While the reconciler is writing, nothing is: what differs when it is
// done is.
func (s *Set) concerns(ref inventory.Ref, change watch.Change, scaled bool) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[ref]
	switch {
	case m == nil:
		return 0, false
	case s.busy:
		s.missed[ref] = change.After
		return 0, false
	case !m.skipped && !m.matches(change.After, scaled) && !(s.tolerates.Load() && sameOwned(change)):
		return driftDelay, true
	case change.Before == nil || change.After == nil:
		return healthDelay, true
	case change.Before.Judge != change.After.Judge || change.Before.Health != change.After.Health || change.Before.Left != change.After.Left:
		return healthDelay, true
	}
	return 0, false
}

// sameOwned reports whether a change is about what is not ours.
func sameOwned(change watch.Change) bool {
	return change.Before != nil && change.After != nil && change.Before.Owned == change.After.Owned
}

// drifts reports whether a record that does not match is that of an object
// whose drift is tolerated, and not one that is older than the last apply.
func (s *Set) drifts(m *member) bool {
	return s.tolerates.Load() && time.Since(m.since) > watchLag
}

// watchLag is how long a watch may take to tell of an apply. Only where drift
// is tolerated a record can go on not to match.
const watchLag = 5 * time.Second

// matches reports whether a live object is as the last apply left it, or is
// not to be touched.
func (m *member) matches(record *watch.Record, scaled bool) bool {
	if record == nil {
		return false
	}
	if record.Left || record.Deleting {
		return true
	}
	return same(record.Owned, m.owned, scaled)
}

// same compares what is ours of two objects. The replicas of a scaled one are
// not.
func same(a, b watch.Owned, scaled bool) bool {
	if scaled {
		a.Replicas = b.Replicas
	}
	return a == b
}

// unchanged reports whether d is what was last applied and the live object
// still is what that apply returned.
func (s *Set) unchanged(d *Desired, record *watch.Record, scaled bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[d.Ref]
	return m != nil && !m.skipped && m.desired.Digest == d.Digest && m.desired.GVK == d.GVK && !record.Deleting && m.matches(record, scaled)
}

// snapshot returns the members as they are now.
func (s *Set) snapshot() []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.members))
}

// Settled reports whether no path of any member is contested.
func (s *Set) Settled(now time.Time) bool {
	for _, m := range s.snapshot() {
		if !m.contest.settled(now) {
			return false
		}
	}
	return true
}
