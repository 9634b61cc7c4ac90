// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"errors"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// finish turns the outcome of the phases into status, event and next run.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	defer s.tidy()
	if !planOnly(s.obj) && planOf(s.obj) != nil {
		s.obj.Status.Weir.Plan = nil
	}
	switch {
	case errors.Is(err, errCrowded):
		return ctrl.Result{RequeueAfter: connectAgain}, nil
	case errors.Is(err, errRunning):
		s.showRunning()
		return ctrl.Result{}, nil
	case errors.Is(err, errStalled):
		s.showStalled()
		// New values, which may help, need not be heard of.
		return ctrl.Result{RequeueAfter: c.Options.Jitter(s.obj.Spec.Interval.Duration)}, nil
	case err == nil:
		err = s.verdict()
	}
	result, err := reconcile.Finish(s.obj, err, c.success(s), reconcile.Policy{
		SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
		Failed:                func(reason, message string) { c.warn(s, reason, message) },
	})
	c.measureDelivery(s)
	return result, err
}

// measureDelivery measures how long a new chart took, once it is what runs. The
// first one that this process sees may have been there before it.
func (c *Controller) measureDelivery(s *scope) {
	if s.artifact == nil || planOnly(s.obj) || !conditions.IsReady(s.obj) {
		return
	}
	if before := s.memory.ready; before != "" && before != s.artifact.Digest {
		c.Metrics.Delivered(s.obj, s.artifact, time.Now())
	}
	s.memory.ready = s.artifact.Digest
}

// verdict is what the conditions say of a release that nothing is to be done
// about: nil if it is well.
func (s *scope) verdict() error {
	if planOnly(s.obj) {
		return nil
	}
	status, reason, message := state.Summary(s.obj)
	if status == metav1.ConditionTrue {
		return nil
	}
	if reason == "" {
		reason, message = fluxmeta.ProgressingReason, "the release is not known yet"
	}
	return reconcile.Wait(s.obj.Spec.Interval.Duration, reason, errors.New(message))
}

// success is what a HelmRelease says of itself when all is well.
func (c *Controller) success(s *scope) reconcile.Success {
	if interval := s.obj.Spec.Interval.Duration; !s.now.Before(s.memory.next) || interval != s.memory.interval {
		s.memory.next, s.memory.interval = s.now.Add(c.Options.Jitter(interval)), interval
	}
	after := max(s.memory.next.Sub(s.now), 1)
	if s.recheck > 0 {
		after = min(after, s.recheck)
	}
	if plan := planOf(s.obj); plan != nil {
		return reconcile.Success{Reason: helmv2.PlannedReason, Message: apply.DescribePlan(plan), After: after}
	}
	_, reason, message := state.Summary(s.obj)
	if s.basis != "" {
		message += "; " + s.basis
	}
	return reconcile.Success{Reason: reason, Message: message, After: after}
}

// showRunning says that an action is under way. One that does not make the
// release what is wanted leaves the failure visible that it is about.
func (s *scope) showRunning() {
	step := s.memory.running
	conditions.Delete(s.obj, fluxmeta.StalledCondition)
	if step == nil {
		return
	}
	conditions.MarkReconciling(s.obj, fluxmeta.ProgressingReason, "%s", step.Message())
	if step.Releases() {
		conditions.MarkUnknown(s.obj, helmv2.ReadyCondition, fluxmeta.ProgressingReason, "%s", step.Message())
		return
	}
	s.showSummary()
}

// showSummary has Ready say what the other conditions do.
func (s *scope) showSummary() {
	status, reason, message := state.Summary(s.obj)
	if reason == "" {
		return
	}
	conditions.Set(s.obj, &metav1.Condition{Type: helmv2.ReadyCondition, Status: status, Reason: reason, Message: message})
}

// showStalled says that no retry helps. Ready goes on to say what went wrong.
func (s *scope) showStalled() {
	stall := s.step.Stalled
	conditions.Delete(s.obj, fluxmeta.ReconcilingCondition)
	conditions.MarkStalled(s.obj, stall.Reason, "%s", stall.Message)
	if status, _, _ := state.Summary(s.obj); status == metav1.ConditionFalse {
		s.showSummary()
	} else {
		conditions.MarkFalse(s.obj, helmv2.ReadyCondition, stall.Reason, "%s", stall.Message)
	}
	s.obj.Status.ObservedGeneration = s.obj.Generation
}

// tidy removes status.weir if nothing is in it.
func (s *scope) tidy() {
	if weir := s.obj.Status.Weir; weir != nil && *weir == (helmv2.WeirStatus{}) {
		s.obj.Status.Weir = nil
	}
}
