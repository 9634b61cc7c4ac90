// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// driftMode is what becomes of drift.
func driftMode(obj *kustomizev1.Kustomization) meta.DriftMode {
	if obj.Spec.Weir == nil || obj.Spec.Weir.DriftDetection == nil {
		return meta.DriftEnabled
	}
	return cmp.Or(obj.Spec.Weir.DriftDetection.Mode, meta.DriftEnabled)
}

// watchDrift looks for changes that others made to applied objects, and puts
// them back, shows them or does neither. It comes before everything that can
// fail: while a new revision cannot be applied, the last one still holds.
func (c *Controller) watchDrift(ctx context.Context, s *scope) error {
	mode := driftMode(s.obj)
	s.set.Tolerate(mode != meta.DriftEnabled)
	if mode != meta.DriftWarn {
		s.forgetDrift()
	}
	if !s.set.Known() {
		return nil
	}
	// Before anything can be created: whatever keeps this reconcile from its end
	// later, a Job that has run stays known as one.
	recordCompleted(s.obj, s.engine.Finished(s.set), metav1.Time{Time: s.now})
	switch mode {
	case meta.DriftDisabled:
		s.markDrifted(true)
		return nil
	case meta.DriftWarn:
		return c.showDrift(ctx, s)
	case meta.DriftEnabled:
	}
	return c.correct(ctx, s)
}

// showDrift writes down what has drifted, and tells when that is something
// else than before.
func (c *Controller) showDrift(ctx context.Context, s *scope) error {
	drifted, err := s.engine.Drifted(ctx, s.set, s.client)
	if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	var found []apply.Difference
	if len(drifted) > 0 {
		if found, err = s.engine.Inspect(ctx, s.set, drifted, c.applyOptions(s)); err != nil {
			return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
		}
	}
	if len(found) == 0 {
		s.forgetDrift()
		s.markDrifted(true)
		return nil
	}
	changes := apply.ObjectChanges(found)
	s.weirStatus().Drift = &changes
	message := apply.DescribeDrift(found)
	news := !s.showsDrift() || conditions.GetMessage(s.obj, kustomizev1.DriftedCondition) != message
	conditions.MarkTrue(s.obj, kustomizev1.DriftedCondition, kustomizev1.DriftDetectedReason, "%s", message)
	if news {
		c.event(s, corev1.EventTypeWarning, kustomizev1.DriftDetectedReason, message)
	}
	return nil
}

// showsDrift reports whether the condition is about drift that is left as it
// is.
func (s *scope) showsDrift() bool {
	return conditions.GetReason(s.obj, kustomizev1.DriftedCondition) == kustomizev1.DriftDetectedReason
}

// forgetDrift takes back what showDrift has written.
func (s *scope) forgetDrift() {
	if s.obj.Status.Weir != nil {
		s.obj.Status.Weir.Drift = nil
	}
	if s.showsDrift() {
		conditions.Delete(s.obj, kustomizev1.DriftedCondition)
	}
}

// holds reports whether this is the first look after a restart at what was
// applied before it, with drift to be left as it is: then differences are drift
// and nothing new. That somebody asks for a reconcile, or that variables have
// changed, makes it an apply.
func (s *scope) holds() bool {
	last := s.obj.Status.History.Latest()
	return driftMode(s.obj) != meta.DriftEnabled && s.memory.applied == (attempt{}) && s.heldBefore() &&
		!s.memory.asked(s) && last != nil && last.Digest == s.memory.run.digest
}

// lookAtDrift shows what a held apply has found; after any other there is no
// drift.
func (c *Controller) lookAtDrift(ctx context.Context, s *scope, held bool) error {
	if !held {
		s.forgetDrift()
		return nil
	}
	if driftMode(s.obj) != meta.DriftWarn {
		return nil
	}
	return c.showDrift(ctx, s)
}
