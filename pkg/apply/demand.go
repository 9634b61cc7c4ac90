// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Leave are objects, by the key of the gate, that an apply is to leave as they
// are for now.
type Leave map[string]struct{}

// demand is what one step changes of what is asked for.
type demand struct {
	before, after watch.Demand
	// outcome is the object as it will be, if it asks for anything.
	outcome *unstructured.Unstructured
	// unread: the live object is not one of ours yet, so that it is not known
	// what it asks for.
	unread bool
}

// foresee notes what a step leads to.
func (p *planner) foresee(s *step, record *watch.Record, outcome *unstructured.Unstructured) {
	s.demand.after = p.engine.pool.Demand(outcome)
	if !s.demand.after.IsZero() || quotaKind(s.Ref.GroupKind()) {
		s.demand.outcome = outcome
	}
	s.demand.unread = record == nil && !s.demand.after.IsZero() && outcome.GetResourceVersion() != ""
}

// passGate asks whether the plan may be carried out, and returns the steps that
// may be now.
func (p *planner) passGate(ctx context.Context, steps []*step) ([]*step, error) {
	if p.opts.Gate == nil {
		return steps, nil
	}
	change, err := p.change(ctx, steps)
	if err != nil {
		return nil, err
	}
	leave, err := p.opts.Gate(ctx, change)
	if err != nil || len(leave) == 0 {
		return steps, err
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s *step) bool {
		_, left := leave[gate.KeyOf(s.Ref)]
		return left || s.stage == stageCuts
	}), nil
}

// change sums up what the plan changes. Objects that are to be pruned are
// counted as far as the watch knows them; only if something grows, which may
// need their devices, is it made sure of.
func (p *planner) change(ctx context.Context, steps []*step) (gate.Change, error) {
	var change gate.Change
	least := declaredLeast(steps)
	for _, s := range steps {
		object, changes, err := p.object(ctx, s, least)
		if err != nil {
			return change, err
		}
		if changes {
			change.Objects = append(change.Objects, object)
		}
	}
	grows := change.Grows()
	for _, ref := range p.opts.Stale.Refs() {
		object, changes, err := p.stale(ctx, ref, grows)
		if err != nil {
			return change, err
		}
		if changes {
			change.Objects = append(change.Objects, object)
		}
	}
	return change, p.quotas(ctx, steps, &change, grows)
}

// declaredLeast is how many replicas the autoscalers of the set keep, by the
// object that they scale.
func declaredLeast(steps []*step) map[inventory.Ref]int64 {
	var declared map[inventory.Ref]int64
	for _, s := range steps {
		if s.Object == nil || s.action == Skipped {
			continue
		}
		gk, key, least, ok := watch.Scaling(s.Object)
		if !ok {
			continue
		}
		if declared == nil {
			declared = map[inventory.Ref]int64{}
		}
		target := inventory.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: key.Namespace, Name: key.Name}
		declared[target] = max(declared[target], least)
	}
	return declared
}

// object is what a step changes, if it does.
func (p *planner) object(ctx context.Context, s *step, declared map[inventory.Ref]int64) (gate.Object, bool, error) {
	d := &s.demand
	least, scaled := declared[s.Ref]
	kept, wasScaled := p.engine.pool.Least(s.Ref.GroupKind(), keyOf(s.Ref))
	if !scaled {
		least, scaled = kept, wasScaled
	}
	switch {
	case s.action == Skipped, s.action == Unchanged && (!scaled || d.before.IsZero()):
		return gate.Object{}, false, nil
	case s.action == Unchanged, s.action == Deferred, s.action == Recreated:
		d.after, d.outcome = p.engine.pool.Demand(s.Object), s.Object
	}
	if err := p.readBefore(ctx, s); err != nil {
		return gate.Object{}, false, err
	}
	if d.before.IsZero() && d.after.IsZero() {
		return gate.Object{}, false, nil
	}
	before, after := d.before.Decode(), d.after.Decode()
	if wasScaled {
		unbound(before)
	}
	if scaled && !d.after.IsZero() {
		after = p.scaledEstimate(d, least)
	}
	return gate.Object{
		Key: gate.KeyOf(s.Ref), Namespace: s.Ref.Namespace, Before: before, After: after,
		Template: s.action != Unchanged && !d.before.IsZero() && d.before.Template != d.after.Template,
	}, true, nil
}

// readBefore reads what a live object asks for that the watch does not know.
func (p *planner) readBefore(ctx context.Context, s *step) error {
	if !s.demand.unread {
		return nil
	}
	live, err := p.liveOf(ctx, s)
	if err == nil && live != nil {
		s.demand.before = p.engine.pool.Demand(live)
	}
	return err
}

// unbound is for an object that had an autoscaler before: it could have any
// number of pods.
func unbound(e gpu.Estimate) {
	for i := range e.Groups {
		e.Groups[i].Max = -1
	}
}

// scaledEstimate is what an object will ask for whose replicas an autoscaler
// sets: as many as it has, and no fewer than the autoscaler keeps.
func (p *planner) scaledEstimate(d *demand, least int64) gpu.Estimate {
	var has *int64
	if !d.before.IsZero() {
		has = &d.before.Replicas
	}
	return p.engine.pool.ScaledDemand(d.outcome, least, has)
}

// stale is what the deletion of an object gives back. With certain set the
// object is read, since one that asks to be kept gives nothing.
func (p *planner) stale(ctx context.Context, ref inventory.Ref, certain bool) (gate.Object, bool, error) {
	gvk := p.opts.Stale.GVK(ref)
	record := p.engine.pool.Get(gvk, keyOf(ref))
	watching := p.engine.pool.Watching(gvk)
	if watching && (record == nil || record.Demand.IsZero()) || !watching && !certain {
		return gate.Object{}, false, nil
	}
	if !certain {
		return gate.Object{Key: gate.KeyOf(ref), Namespace: ref.Namespace, Before: record.Demand.Decode()}, true, nil
	}
	live, err := p.engine.doomed(ctx, ref, gvk.Version, PruneOptions{Client: p.client, Owner: p.set.owner})
	if err != nil || live == nil {
		return gate.Object{}, false, err
	}
	demand := p.engine.pool.Demand(live)
	return gate.Object{Key: gate.KeyOf(ref), Namespace: ref.Namespace, Before: demand.Decode()}, !demand.IsZero(), nil
}

func quotaKind(gk schema.GroupKind) bool {
	return gk.Group == quotav1.GroupVersion.Group && gk.Kind == quotav1.GPUQuotaKind
}

// quotas adds the quotas that the plan changes, and gives each its stage: what
// gives more room is written before the workloads that need it, and what takes
// room away when they have settled.
func (p *planner) quotas(ctx context.Context, steps []*step, change *gate.Change, grows bool) error {
	for _, s := range steps {
		if !quotaKind(s.Ref.GroupKind()) || !s.action.writes() {
			continue
		}
		after, err := quotaOf(s)
		if err != nil {
			return &ObjectError{Ref: s.Ref, Doing: "read", Origin: s.Origin, Err: err}
		}
		s.stage = stageSetup
		if s.action == Configured {
			before, err := p.liveQuota(ctx, s)
			if err != nil {
				return err
			}
			if before != nil && cuts(&before.Spec, &after.Spec) {
				s.stage = stageCuts
			}
		}
		if grows {
			change.Quotas = append(change.Quotas, *after)
		}
	}
	for _, ref := range p.opts.Stale.Refs() {
		if grows && quotaKind(ref.GroupKind()) {
			change.RemovedQuotas = append(change.RemovedQuotas, ref.Name)
		}
	}
	return nil
}

// quotaOf is a quota as it will be, without what says nothing about it.
func quotaOf(s *step) (*quotav1.GPUQuota, error) {
	obj := s.demand.outcome
	if obj == nil {
		obj = s.Object
	}
	full := &quotav1.GPUQuota{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, full); err != nil {
		return nil, err
	}
	quota := &quotav1.GPUQuota{Spec: full.Spec}
	quota.Name = s.Ref.Name
	return quota, nil
}

// liveQuota reads a quota, and returns nil for one that is not there or may not
// be read.
func (p *planner) liveQuota(ctx context.Context, s *step) (*quotav1.GPUQuota, error) {
	live, err := p.client.Get(ctx, s.Ref, s.GVK.Version)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	quota := &quotav1.GPUQuota{}
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, quota)
	}
	if err != nil {
		return nil, &ObjectError{Ref: s.Ref, Doing: "read", Origin: s.Origin, Err: err}
	}
	return quota, nil
}

// cuts reports whether a change of a quota takes room away and gives none.
func cuts(before, after *quotav1.GPUQuotaSpec) bool {
	old, now := limits(before), limits(after)
	lowers, raises := false, false
	for device, hard := range now {
		was, limited := old[device]
		lowers = lowers || !limited || hard.Cmp(was) < 0
		raises = raises || limited && hard.Cmp(was) > 0
	}
	for device := range old {
		_, still := now[device]
		raises = raises || !still
	}
	return lowers && !raises
}

func limits(spec *quotav1.GPUQuotaSpec) gpu.Amounts {
	hard := make(gpu.Amounts, len(spec.Limits))
	for _, limit := range spec.Limits {
		if amount, err := gpu.ParseAmount(limit.Hard); err == nil {
			hard[limit.Device] = amount
		}
	}
	return hard
}
