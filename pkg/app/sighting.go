// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// sightings say whether leases of others are live, by our own clock: the clocks of
// those who renew them, or ours, may be off by hours. A lease is live for as long
// as it says after it was seen to be renewed. At the first look it may just have
// been, unless it should have ended long ago. The zero value is ready.
type sightings struct {
	mu    sync.Mutex
	known map[string]sighting
}

// doubt is how long a lease that was not looked at before must have ended, by what
// it says, to be taken for one that nobody holds. For a shorter time a clock that is
// off is as likely, and two controllers at once are worse than a wait.
const doubt = 10 * time.Minute

// sighting is what was seen of one lease.
type sighting struct {
	renewed time.Time // as its holder says
	until   time.Time // it is live, by our clock
}

// live reports whether somebody holds a lease that is seen now.
func (s *sightings) live(lease *coordinationv1.Lease, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, key := lease.Spec, lease.Namespace+"/"+lease.Name
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" || spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		delete(s.known, key)
		return false
	}
	duration := time.Duration(*spec.LeaseDurationSeconds) * time.Second
	seen, before := s.known[key]
	switch {
	case !before && now.Sub(spec.RenewTime.Add(duration)) > doubt:
		seen.until = now
	case !before, !seen.renewed.Equal(spec.RenewTime.Time):
		seen.until = now.Add(duration)
	}
	seen.renewed = spec.RenewTime.Time
	if s.known == nil {
		s.known = map[string]sighting{}
	}
	s.known[key] = seen
	return now.Before(seen.until)
}
