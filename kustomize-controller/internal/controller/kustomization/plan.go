// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// planOnly reports whether a Kustomization shows what it would do and does
// nothing.
func planOnly(obj *kustomizev1.Kustomization) bool {
	return obj.Spec.Weir != nil && obj.Spec.Weir.Mode == meta.ModePlan
}

// planOf returns the plan that the status holds, or nil.
func planOf(obj *kustomizev1.Kustomization) *meta.Plan {
	if obj.Status.Weir == nil {
		return nil
	}
	return obj.Status.Weir.Plan
}

// applying leaves a phase out of reconciles that only plan.
func applying(phase reconcile.Phase[*scope]) reconcile.Phase[*scope] {
	return func(ctx context.Context, s *scope) error {
		if planOnly(s.obj) {
			return nil
		}
		return phase(ctx, s)
	}
}

// plan writes down what an apply and prune would change, and changes nothing.
func (c *Controller) plan(ctx context.Context, s *scope) error {
	if !planOnly(s.obj) {
		return nil
	}
	// What is not kept is not judged either.
	conditions.Delete(s.obj, kustomizev1.HealthyCondition)
	s.forgetDrift()
	conditions.Delete(s.obj, kustomizev1.DriftedCondition)
	if !s.full {
		return nil
	}
	desired, err := s.prepare()
	if err != nil {
		return err
	}
	if err := s.engine.Watch(ctx, s.set, s.after.Union(s.before), nil); err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	differences, err := s.engine.Plan(ctx, s.set, desired, c.applyOptions(s))
	if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	var doomed []apply.Doomed
	if s.obj.Spec.Prune {
		if doomed, err = s.doomed(ctx, s.before.Minus(s.after)); err != nil {
			return reconcile.Fail(kustomizev1.PruneFailedReason, err)
		}
	}
	plan := apply.NewPlan(s.artifact.Revision, differences, doomed)
	if !equality.Semantic.DeepEqual(plan, planOf(s.obj)) {
		s.weirStatus().Plan = plan
		c.planned(s, plan)
	}
	s.written = true
	return nil
}

// doomed returns what a prune would delete.
func (s *scope) doomed(ctx context.Context, stale inventory.Inventory) ([]apply.Doomed, error) {
	return s.engine.Doomed(ctx, stale, apply.PruneOptions{Client: s.client, Owner: s.owner()})
}

// planned tells of a new plan.
func (c *Controller) planned(s *scope, plan *meta.Plan) {
	c.event(s, corev1.EventTypeNormal, kustomizev1.PlannedReason, apply.DescribePlan(plan))
}

// unplanned reports whether the status has no plan of what is to be planned,
// though nothing went wrong: somebody has edited it, or the source has given the
// same content another revision.
func (m *memory) unplanned(s *scope) bool {
	if !planOnly(s.obj) || m.failure != nil {
		return false
	}
	plan := planOf(s.obj)
	return plan == nil || plan.Revision != s.artifact.Revision
}

// settlePlan drops a plan that does not hold: there is none without the mode,
// and none of what could not be planned in full.
func (s *scope) settlePlan(err error) {
	if planOf(s.obj) != nil && (!planOnly(s.obj) || s.full && err != nil) {
		s.obj.Status.Weir.Plan = nil
		s.tidyWeirStatus()
	}
}

// success is what a Kustomization says of itself when all is well.
func (s *scope) success() reconcile.Success {
	if plan := planOf(s.obj); plan != nil {
		return reconcile.Success{Reason: kustomizev1.PlannedReason, Message: apply.DescribePlan(plan), After: s.next()}
	}
	return reconcile.Success{
		Reason:  kustomizev1.ReconciliationSucceededReason,
		Message: "Applied revision: " + s.obj.Status.LastAppliedRevision,
		After:   s.next(),
	}
}

// isApplied reports whether a Kustomization is ready, and not because it has
// been planned.
func isApplied(obj *kustomizev1.Kustomization) bool {
	return conditions.IsReady(obj) && conditions.GetReason(obj, kustomizev1.ReadyCondition) != kustomizev1.PlannedReason
}

// plannedDependency judges a dependency that is planned and not applied, and
// reports whether it is one. What is planned itself makes do with that, of the
// same revision if both have the same source.
func plannedDependency(s *scope, dep *kustomizev1.Kustomization) (why string, planned bool) {
	plan := planOf(dep)
	switch {
	case !planOnly(dep):
		return "", false
	case !planOnly(s.obj):
		return ": it is only planned (its spec.weir.mode is Plan), and nothing of it is applied", true
	case dep.Status.ObservedGeneration != dep.Generation, !conditions.IsReady(dep), plan == nil:
		return depend.Unready(dep), true
	case dep.Spec.SourceRef.Kind == s.obj.Spec.SourceRef.Kind && sourceName(dep) == sourceName(s.obj) && plan.Revision != s.artifact.Revision:
		return fmt.Sprintf(": it has not planned revision %s yet", s.artifact.Revision), true
	}
	return "", true
}

// replanned reports whether a Kustomization that others may have waited for
// has a plan of another revision.
func replanned(before, after *kustomizev1.Kustomization) bool {
	plan, old := planOf(after), planOf(before)
	return plan != nil && (old == nil || old.Revision != plan.Revision)
}

func (s *scope) weirStatus() *kustomizev1.WeirStatus {
	if s.obj.Status.Weir == nil {
		s.obj.Status.Weir = &kustomizev1.WeirStatus{}
	}
	return s.obj.Status.Weir
}

// tidyWeirStatus removes status.weir if nothing is in it.
func (s *scope) tidyWeirStatus() {
	if equality.Semantic.DeepEqual(s.obj.Status.Weir, &kustomizev1.WeirStatus{}) {
		s.obj.Status.Weir = nil
	}
}
