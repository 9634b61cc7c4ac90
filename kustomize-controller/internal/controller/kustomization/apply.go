// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Labels that every applied object carries.
var Labels = watch.Labels{Name: kustomizev1.OwnerNameLabel, Namespace: kustomizev1.OwnerNamespaceLabel}

// Keys by which applied objects ask for special treatment.
var Keys = apply.Keys{
	Reconcile: kustomizev1.ReconcileAnnotation,
	Prune:     kustomizev1.PruneAnnotation,
	Policy:    kustomizev1.SSAAnnotation,
	Force:     kustomizev1.ForceAnnotation,
}

// stageTimeout is how long an apply waits for a new namespace or definition,
// and for an object that it recreates to go away.
const stageTimeout = time.Minute

// apply makes the cluster equal to what was built, and has it watched.
func (c *Controller) apply(ctx context.Context, s *scope) error {
	s.targets = targets(s.obj, s.checks)
	if !s.full {
		return nil
	}
	desired, err := s.prepare()
	if err != nil {
		return err
	}
	watched := s.after.Union(s.before)
	if err := s.engine.Watch(ctx, s.set, watched, s.targets); err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	s.built(desired)
	options := c.applyOptions(s)
	options.Hold = s.holds()
	c.gate(s, &options)
	options.BeforeWrite = func(ctx context.Context) error { return c.announce(ctx, s) }
	s.changes, err = s.engine.Apply(ctx, s.set, desired, options)
	c.applied(s)
	if err != nil {
		return s.ungranted(ctx, err)
	}
	// Kinds that this very apply has defined can be watched now.
	if err := s.engine.Watch(ctx, s.set, watched, s.targets); err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	return c.lookAtDrift(ctx, s, options.Hold)
}

// prepare makes what was built ready to be sent, by the rules of the spec.
func (s *scope) prepare() ([]*apply.Desired, error) {
	s.set.Exempt(s.rules)
	desired, err := apply.Prepare(s.objects, s.owner(), Labels, Keys)
	if err != nil {
		return nil, reconcile.Fail(kustomizev1.BuildFailedReason, err)
	}
	s.setOrigins(desired)
	return desired, nil
}

func (c *Controller) applyOptions(s *scope) apply.Options {
	return apply.Options{
		Client:       s.client,
		Force:        s.obj.Spec.Force,
		Completed:    func(ref inventory.Ref, digest string) bool { return !s.moved && completed(s.obj, ref, digest) != nil },
		StageTimeout: stageTimeout,
	}
}

// announce writes, before the first object is, what this reconcile is about to
// answer for: whatever happens from here on, nothing that it applies is
// forgotten.
func (c *Controller) announce(ctx context.Context, s *scope) error {
	c.settle(s)
	s.keepBefore()
	writeInventory(s.obj, s.after.Union(s.before))
	reconcile.MarkProgressing(s.obj, kustomizev1.ProgressingReason, "Applying revision "+s.artifact.Revision)
	if err := s.patcher.Status(ctx); err != nil {
		return fmt.Errorf("write the inventory before the first object: %w", err)
	}
	s.memory.inventory = s.obj.Status.Inventory.DeepCopy()
	return nil
}

// prune deletes what the source no longer has, and settles the inventory.
func (c *Controller) prune(ctx context.Context, s *scope) error {
	if !s.full {
		return nil
	}
	left, err := c.pruneStale(ctx, s)
	settled := s.after.Union(left)
	c.settle(s)
	writeInventory(s.obj, settled)
	s.memory.inventory = s.obj.Status.Inventory.DeepCopy()
	// What is not wanted any more is not put back either, deleted or not.
	s.set.Retain(s.after)
	if err != nil {
		return err
	}
	if len(s.swap) > 0 {
		return s.holdSwap(ctx)
	}
	s.dropBefore()
	s.memory.swapped = swapped{}
	s.written = true
	s.memory.applied = s.memory.tried
	s.memory.reads = c.reads.replace(s.memory.reads, s.reads)
	s.memory.illSince = time.Time{}
	if s.memory.waitSince.IsZero() {
		s.memory.waitSince = s.now
	}
	if err := s.engine.Watch(ctx, s.set, settled, s.targets); err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	return nil
}

// correct puts back what somebody else has changed since the last apply.
func (c *Controller) correct(ctx context.Context, s *scope) error {
	drifted, err := s.engine.Drifted(ctx, s.set, s.client)
	if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	if len(drifted) > 0 {
		options := c.applyOptions(s)
		options.Insist = !s.now.Before(s.memory.nextFull)
		s.drift, err = s.engine.Correct(ctx, s.set, drifted, options)
	}
	c.corrected(s)
	s.markDrifted(s.set.Settled(s.now))
	if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	return nil
}

// targets are the objects of spec.healthChecks; with spec.wait they do not
// count, since every object does. A check without an API version means apps/v1,
// one without a namespace that of the Kustomization.
func targets(obj *kustomizev1.Kustomization, checks *health.Checks) []watch.Target {
	if obj.Spec.Wait {
		return nil
	}
	list := make([]watch.Target, 0, len(obj.Spec.HealthChecks))
	for _, check := range obj.Spec.HealthChecks {
		list = append(list, watch.Target{
			GVK:            schema.FromAPIVersionAndKind(cmp.Or(check.APIVersion, "apps/v1"), check.Kind),
			NamespacedName: types.NamespacedName{Namespace: cmp.Or(check.Namespace, obj.Namespace), Name: check.Name},
			Checks:         checks,
		})
	}
	return list
}
