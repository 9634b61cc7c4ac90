// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Correction is one object that was put back.
type Correction struct {
	Ref inventory.Ref
	// Created is set if the object was gone.
	Created bool
	// Contenders are the paths that were changed, and by whom.
	Contenders []Contender
}

// Drift is the outcome of looking for drift.
type Drift struct {
	// Corrected objects, in the order of their refs.
	Corrected []Correction
	// Contested paths are not put back before the next interval: somebody
	// else sets them again and again.
	Contested []Contested
	// Stale is set if an object differs whose desired state is not at hand:
	// the owner has to build it anew.
	Stale bool
}

// Contested is a path of an object that two managers set.
type Contested struct {
	Ref inventory.Ref
	Contender
}

// Drifted returns the members whose live object is not as the last apply left
// it, as far as the watch has told.
func (e *Engine) Drifted(ctx context.Context, set *Set, client *Client) ([]inventory.Ref, error) {
	var drifted []inventory.Ref
	for _, m := range set.snapshot() {
		if m.skipped {
			continue
		}
		record, err := e.lookup(ctx, client, set, &m.desired)
		if err != nil {
			return nil, err
		}
		if !m.matches(record, e.scaled(m.desired.Ref)) {
			drifted = append(drifted, m.desired.Ref)
		}
	}
	slices.SortFunc(drifted, func(a, b inventory.Ref) int { return strings.Compare(a.ID(), b.ID()) })
	return drifted, nil
}

// Correct puts drifted members back, without a dry-run: what is applied was
// accepted before. Each live object is read first, because an event may be
// late, a deletion only a lost label, and because the owner wants to know who
// changed what.
func (e *Engine) Correct(ctx context.Context, set *Set, drifted []inventory.Ref, opts Options) (Drift, error) {
	var drift Drift
	var errs []error
	set.begin()
	defer e.end(set)
	for _, ref := range drifted {
		m := set.get(ref)
		if m == nil {
			continue
		}
		if err := e.correct(ctx, set, m, opts, &drift); err != nil {
			errs = append(errs, err)
		}
	}
	return drift, joinErrors(errs)
}

func (e *Engine) correct(ctx context.Context, set *Set, m *member, opts Options, drift *Drift) error {
	ref := m.desired.Ref
	live, err := opts.Client.Get(ctx, ref, m.desired.GVK.Version)
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return &ObjectError{Ref: ref, Doing: "read", Err: err}
	}
	now := time.Now()
	if e.spared(set, m, live, gone, now, opts, drift) {
		return nil
	}
	if gone {
		live = nil
	}
	result, err := e.reapply(ctx, set, m, live, opts)
	if err != nil {
		return err
	}
	correction := Correction{Ref: ref, Created: gone}
	if !gone {
		correction.Contenders = m.contest.revert(live, result, e.ours(set, &m.desired), now)
	}
	set.put(&m.desired, e.pool.Record(result).Owned, false)
	if gone || !alike(live, result) {
		drift.Corrected = append(drift.Corrected, correction)
	}
	return nil
}

// alike reports whether two states of an object differ in nothing but whose
// fields they are.
func alike(a, b *unstructured.Unstructured) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	for _, obj := range []*unstructured.Unstructured{a, b} {
		obj.SetManagedFields(nil)
		obj.SetResourceVersion("")
	}
	return equality.Semantic.DeepEqual(a.Object, b.Object)
}

// spared reports whether a member is not to be applied again, having looked at
// the live object, and notes why where the owner wants to know.
func (e *Engine) spared(set *Set, m *member, live *unstructured.Unstructured, gone bool, now time.Time, opts Options, drift *Drift) bool {
	ref := m.desired.Ref
	switch {
	case gone && opts.Completed != nil && opts.Completed(ref, m.desired.Digest):
		set.put(&m.desired, watch.Owned{}, true)
		return true
	case !gone && m.matches(e.pool.Record(live), e.scaled(ref)) && e.labelled(live, set):
		return true // the event was ahead of our own apply, or already undone
	case !gone && watch.HasMark(live, e.config.Keys.leave()...):
		return true // it has lost our labels, and asks to be left alone
	case m.desired.data == nil:
		drift.Stale = true
		return true
	case gone || opts.Insist:
		return false
	}
	contested := m.contest.standing(live, e.ours(set, &m.desired), now)
	for _, c := range contested {
		drift.Contested = append(drift.Contested, Contested{ref, c})
	}
	return len(contested) > 0
}

// reapply sends the desired state of a member again, recreating the object
// where its policy asks for that. The live object is nil if there is none.
func (e *Engine) reapply(ctx context.Context, set *Set, m *member, live *unstructured.Unstructured, opts Options) (*unstructured.Unstructured, error) {
	ref, version := m.desired.Ref, m.desired.GVK.Version
	if live != nil && m.desired.Policy != Merge && !watch.HasMark(live, e.config.Keys.merge()...) && e.needsCleanup(live, set) {
		var err error
		if live, err = e.cleanUp(ctx, opts.Client, set, &m.desired); err != nil {
			return nil, err
		}
	}
	result, err := e.send(ctx, opts.Client, set, &m.desired, live)
	if err != nil && immutable(err) && (m.desired.Force || opts.Force || live != nil && watch.HasMark(live, e.config.Keys.force()...)) {
		if err := opts.Client.remove(ctx, ref, version, opts.StageTimeout); err != nil {
			return nil, err
		}
		result, err = e.send(ctx, opts.Client, set, &m.desired, nil)
	}
	if err != nil {
		return nil, &ObjectError{Ref: ref, Doing: "apply", Origin: m.desired.Origin, Err: err}
	}
	return result, nil
}

// labelled reports whether the object still carries the owner's labels, without
// which the watch cannot see it.
func (e *Engine) labelled(live *unstructured.Unstructured, set *Set) bool {
	labels := live.GetLabels()
	return labels[e.config.Watch.Labels.Name] == set.owner.Name && labels[e.config.Watch.Labels.Namespace] == set.owner.Namespace
}
