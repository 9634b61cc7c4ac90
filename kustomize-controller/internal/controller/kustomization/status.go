// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	ctrl "sigs.k8s.io/controller-runtime"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// finish turns the outcome of the phases into status, event and next run.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	if errors.Is(err, errCrowded) {
		return ctrl.Result{RequeueAfter: connectAgain}, nil
	}
	s.remember(err)
	if requested := s.requestedAt(); requested != "" {
		s.memory.requestedAt = requested
		s.obj.Status.LastHandledReconcileAt = requested
	}
	s.settlePlan(err)
	wasApplied, outcome := isApplied(s.obj), err
	result, err := reconcile.Finish(s.obj, outcome, s.success(),
		reconcile.Policy{
			RetryAfter:            s.retryAfter(),
			SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
			Failed:                func(reason, message string) { c.failed(s, reason, message) },
		})
	s.record()
	if !wasApplied && isApplied(s.obj) {
		c.succeeded(s)
	}
	// The first revision may be as old as anything.
	if isApplied(s.obj) && s.applied != "" && s.applied != s.obj.Status.LastAppliedRevision {
		c.Metrics.Delivered(s.obj, s.artifact, time.Now())
	}
	return s.lookAgain(result, outcome), err
}

// remember keeps what stopped a full reconcile before everything was written,
// so that events in between neither repeat it nor hide it.
func (s *scope) remember(err error) {
	if !s.full {
		return
	}
	s.memory.failure = nil
	if e, ok := errors.AsType[*reconcile.Error](err); ok && !s.written {
		s.memory.failure = err
		s.memory.retryAt = s.now.Add(s.obj.GetRetryInterval())
		if e.Kind == reconcile.KindWaiting {
			s.memory.retryAt = s.now.Add(e.After)
		}
	}
}

// next is the time until the interval is over, or until health has to be
// looked at again.
func (s *scope) next() (after time.Duration) {
	after = max(s.memory.nextFull.Sub(s.now), 0)
	if s.recheck > 0 {
		after = min(after, s.recheck)
	}
	return after
}

// lookAgain has the Kustomization back sooner than its outcome asks for, where
// nobody tells of what happens meanwhile: after a held prune, whose objects
// somebody may have deleted by hand, and while objects may not be watched.
func (s *scope) lookAgain(result ctrl.Result, outcome error) ctrl.Result {
	if _, held := errors.AsType[*heldPruneError](outcome); held {
		result.RequeueAfter = s.retryAfter()
	}
	if s.recheck > 0 && result.RequeueAfter > s.recheck {
		result.RequeueAfter = s.recheck
	}
	return result
}

// retryAfter is the time until a failed attempt is repeated.
func (s *scope) retryAfter() time.Duration {
	if s.memory.failure != nil {
		return max(s.memory.retryAt.Sub(s.now), 1)
	}
	return s.obj.GetRetryInterval()
}

// markDrifted shows what is left drifted on purpose, and who is to blame.
func (s *scope) markDrifted(settled bool) {
	if len(s.drift.Contested) > 0 {
		conditions.MarkTrue(s.obj, kustomizev1.DriftedCondition, kustomizev1.FieldContestedReason, "%s", apply.DescribeContested(s.drift.Contested))
		return
	}
	if settled {
		conditions.Delete(s.obj, kustomizev1.DriftedCondition)
	}
}
