// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// grantTime is how long a grant may go without a new pod before the rest of it
// lapses.
const grantTime = 15 * time.Minute

// replaceTime is how long an object may be away before it is taken for gone.
const replaceTime = time.Minute

// grants are the grants of a tree as the recount follows them.
type grants map[types.UID]*grant

// grant is one of them.
type grant struct {
	hash string
	// fed is when the grant was first seen, or got its last pod.
	fed time.Time
	// objects are by key.
	objects map[string]*object
}

// object is what is known of an object of a grant.
type object struct {
	// shrinks: it held more than its envelope when it was first seen.
	shrinks bool
	// looked: it was looked at. seen: it was there once. fed: it has made a pod
	// since the grant was seen.
	looked, seen, fed bool
	// before is what had finished when it was first looked at: the revision may
	// be about to put another one in its place.
	before types.UID
	// absent is since when it is not there any more.
	absent time.Time
	// ended: it is gone, or has finished.
	ended bool
}

// look takes in what an object wants at a time of the clock. What is gone may
// only be being replaced, which takes as long as its pods take to end.
func (o *object) look(wish holdings.Wish, now time.Time) {
	first := !o.looked
	o.looked = true
	switch {
	case !wish.Exists && !o.seen:
	case !wish.Exists && o.absent.IsZero():
		o.absent = now
	case !wish.Exists:
		o.ended = now.Sub(o.absent) >= replaceTime
	default:
		if first && wish.Finished {
			o.before = wish.UID
		}
		o.seen, o.absent = true, time.Time{}
		o.ended = wish.Finished && (o.fed || wish.UID != o.before)
	}
}

// follow brings what is known up to the grants of the record, at a time of the
// clock.
func (g grants) follow(recorded []ledger.Grant, now time.Time) {
	there := map[types.UID]bool{}
	for i := range recorded {
		r := &recorded[i]
		there[r.Owner] = true
		known := g[r.Owner]
		if known == nil || known.hash != r.Hash {
			known = &grant{hash: r.Hash, fed: now, objects: map[string]*object{}}
			g[r.Owner] = known
		}
		if known.fed.After(now) {
			known.fed = now // the clock went back
		}
		for _, o := range r.Objects {
			if known.objects[o.Key] == nil {
				known.objects[o.Key] = &object{shrinks: !o.Envelope.Covers(o.Held)}
			}
		}
	}
	for owner := range g {
		if !there[owner] {
			delete(g, owner)
		}
	}
}

// unknown reports whether there is a grant that is not followed yet.
func (g grants) unknown(recorded []ledger.Grant) bool {
	return slices.ContainsFunc(recorded, func(r ledger.Grant) bool { return g[r.Owner] == nil || g[r.Owner].hash != r.Hash })
}

// judge says which objects of a grant have landed, given what pods of them hold,
// and whether the grant has lapsed. One that grows has when its pods exist, one
// that shrinks when the others are gone, and any one that ended.
func (g *grant) judge(recorded *ledger.Grant, held map[string]gpu.Amounts, now time.Time) (landed []string, lapsed bool) {
	lapsed = now.Sub(g.fed) >= grantTime
	for _, o := range recorded.Objects {
		known := g.objects[o.Key]
		if known == nil {
			continue
		}
		done := held[o.Key].Covers(o.Envelope)
		if known.shrinks {
			done = o.Envelope.Covers(held[o.Key])
		}
		if done || known.ended || lapsed {
			landed = append(landed, o.Key)
		}
	}
	return landed, lapsed && len(landed) > 0
}
