// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Verdict is the health of a set of objects.
type Verdict struct {
	// Failed objects will not become healthy by themselves.
	Failed []Ailing
	// Pending objects are on their way, or not there yet.
	Pending []Ailing
	// Scaling objects serve as before and have replicas yet to come. They
	// count as pending until the set was first healthy, never after.
	Scaling []Ailing
	// Queued objects wait for devices that others use.
	Queued []Ailing
	// Recheck is when to look again although no event may come: a failure
	// that is pending counts by then. Zero for never.
	Recheck time.Duration
}

// Ailing is one object that is not healthy.
type Ailing struct {
	Ref    inventory.Ref
	Health health.Result
	// UID of the live object, if there is one.
	UID types.UID
}

func (a Ailing) String() string {
	text := fmt.Sprintf("%s status: '%s'", a.Ref, a.Health.Status)
	if a.Health.Message != "" {
		text += ": " + a.Health.Message
	}
	return text
}

// Healthy reports whether nothing is wrong or outstanding.
func (v Verdict) Healthy() bool {
	return len(v.Failed) == 0 && len(v.Pending) == 0 && len(v.Scaling) == 0 && len(v.Queued) == 0
}

// Describe lists ailing objects in brackets, sorted: the first five, then how
// many more.
func Describe(ailing []Ailing) string {
	texts := make([]string, len(ailing))
	for i, a := range ailing {
		texts[i] = a.String()
	}
	slices.Sort(texts)
	if rest := len(texts) - maxErrors; rest > 0 {
		texts = append(texts[:maxErrors], fmt.Sprintf("and %d more", rest))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func (v *Verdict) add(a Ailing, scaling bool, now time.Time) {
	switch {
	case a.Health.Status == health.Current:
	case a.Health.Status == health.Failed:
		if left := time.Unix(a.Health.FailedAt, 0).Sub(now); left > 0 {
			v.Pending = append(v.Pending, a)
			v.recheckIn(left)
			return
		}
		v.Failed = append(v.Failed, a)
	case a.Health.Status == health.Queued:
		v.Queued = append(v.Queued, a)
	case scaling:
		v.Scaling = append(v.Scaling, a)
	default:
		v.Pending = append(v.Pending, a)
	}
}

func (v *Verdict) recheckIn(after time.Duration) {
	if v.Recheck == 0 || after < v.Recheck {
		v.Recheck = after
	}
}

// Health judges every member of the set, and the targets. Members that are
// left alone do not count, but for those that ran to completion.
func (e *Engine) Health(ctx context.Context, set *Set, client *Client, members bool, targets []watch.Target) (Verdict, error) {
	var verdict Verdict
	now := time.Now()
	if members {
		for _, m := range set.snapshot() {
			if m.skipped {
				continue
			}
			ailing, scaling, err := e.memberHealth(ctx, set, m, client)
			if err != nil {
				return verdict, err
			}
			verdict.add(ailing, scaling, now)
		}
	}
	for _, target := range targets {
		ailing, err := e.targetHealth(ctx, set, client, target)
		if err != nil {
			return verdict, err
		}
		verdict.add(ailing, false, now)
	}
	return verdict, nil
}

// memberHealth judges a member by a record that is no older than its last
// apply. A watch that lags behind must not pass old health off as new.
func (e *Engine) memberHealth(ctx context.Context, set *Set, m *member, client *Client) (Ailing, bool, error) {
	record, err := e.lookup(ctx, client, set, &m.desired)
	if err != nil {
		return Ailing{}, false, err
	}
	if record == nil {
		return missing(m.desired.Ref), false, nil
	}
	judged := Ailing{Ref: m.desired.Ref, Health: record.Health, UID: record.UID}
	switch {
	case !m.matches(record, e.scaled(m.desired.Ref)) && m.contest.settled(time.Now()) && !set.drifts(m):
		judged.Health = health.Result{Status: health.InProgress, Message: "waiting for the applied state to be seen"}
		if set.tolerates.Load() {
			e.config.Wake(set.owner, watchLag)
		}
		return judged, false, nil
	case record.Health.Status == health.Current:
		m.available = record.Available
	}
	scaling := m.available > 0 && record.Available >= m.available
	return judged, scaling, nil
}

// targetHealth judges an object that the owner names, be it a member or not.
func (e *Engine) targetHealth(ctx context.Context, set *Set, client *Client, target watch.Target) (Ailing, error) {
	ref := refOfTarget(target)
	if m := set.get(ref); m != nil {
		if m.skipped && m.desired.Left {
			return Ailing{Ref: ref, Health: health.Result{Status: health.Current}}, nil
		}
		judged, _, err := e.memberHealth(ctx, set, m, client)
		return judged, err
	}
	record := e.pool.GetTarget(target)
	if record == nil && e.pool.RefusedTarget(target) != nil {
		live, err := client.Get(ctx, ref, target.GVK.Version)
		if err != nil && !apierrors.IsNotFound(err) {
			return Ailing{}, fmt.Errorf("read %s: %w", ref, err)
		}
		if err == nil {
			record = e.pool.RecordFor(live, target.Checks)
		}
	}
	if record == nil {
		return missing(ref), nil
	}
	return Ailing{Ref: ref, Health: record.Health, UID: record.UID}, nil
}

func missing(ref inventory.Ref) Ailing {
	return Ailing{Ref: ref, Health: health.Result{Status: health.NotFound, Message: "not in the cluster"}}
}

// Finished is a member that has run to completion as it was applied.
type Finished struct {
	Ref       inventory.Ref
	Digest    string
	Succeeded bool
}

// Finished returns the members that have run to completion, as far as the
// watch has told, also if they are gone since.
func (e *Engine) Finished(set *Set) []Finished {
	var finished []Finished
	for _, m := range set.snapshot() {
		if m.skipped || !health.RunsToCompletion(m.desired.Ref.GroupKind()) {
			continue
		}
		record := e.pool.Get(m.desired.GVK, keyOf(m.desired.Ref))
		outcome := set.noted(m)
		if record != nil && record.Health.Finished && (m.matches(record, false) || set.drifts(m)) {
			outcome = &record.Health
		}
		if outcome != nil {
			finished = append(finished, Finished{m.desired.Ref, m.desired.Digest, outcome.Status == health.Current})
		}
	}
	slices.SortFunc(finished, func(a, b Finished) int { return strings.Compare(a.Ref.ID(), b.Ref.ID()) })
	return finished
}
