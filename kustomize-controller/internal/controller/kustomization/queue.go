// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// queueInterval is how often a queue is asked why it lets an object wait. That
// an object has left the queue is told by its watch.
const queueInterval = time.Minute

// queueing is what is remembered of the queued objects of an attempt.
type queueing struct {
	// since is when there was nothing left to wait for but the queue; zero
	// while there is.
	since time.Time
	// members are the objects that were queued when they were last looked at.
	members map[inventory.Ref]struct{}
}

// heedQueue finds out why objects are queued. If the spec counts them as
// ready, they are as good as healthy.
func (c *Controller) heedQueue(ctx context.Context, s *scope, verdict apply.Verdict) (apply.Verdict, error) {
	if s.queuedIsReady() {
		verdict.Queued = nil
	}
	if len(verdict.Queued) == 0 {
		return verdict, nil
	}
	s.recheckIn(queueInterval)
	slices.SortFunc(verdict.Queued, func(a, b apply.Ailing) int { return strings.Compare(a.String(), b.String()) })
	var waiting []apply.Ailing
	for i, queued := range verdict.Queued {
		if i < maxExplained {
			var err error
			if queued, err = s.client.Explain(ctx, queued); err != nil {
				return verdict, reconcile.Fail(kustomizev1.HealthCheckFailedReason, err)
			}
		}
		if queued.Health.Status == health.Failed {
			verdict.Failed = append(verdict.Failed, queued)
		} else {
			waiting = append(waiting, queued)
		}
	}
	verdict.Queued = waiting
	return verdict, nil
}

func (s *scope) queuedIsReady() bool {
	return s.obj.Spec.Weir != nil && s.obj.Spec.Weir.QueuedIsReady
}

// onlyQueued reports whether nothing is outstanding but what is queued.
func onlyQueued(v apply.Verdict) bool {
	return len(v.Queued) > 0 && len(v.Failed) == 0 && len(v.Pending) == 0 && len(v.Scaling) == 0
}

// leftQueue reports whether an object that was queued is on its way now.
func (q queueing) leftQueue(v apply.Verdict) bool {
	return slices.ContainsFunc(slices.Concat(v.Pending, v.Scaling), func(a apply.Ailing) bool {
		_, was := q.members[a.Ref]
		return was
	})
}

// timeQueue stops the clock of the timeout while everything that is waited for
// is queued, and begins anew when something has left the queue.
func (s *scope) timeQueue(verdict apply.Verdict) {
	q := &s.memory.queue
	switch {
	case onlyQueued(verdict):
		if q.since.IsZero() {
			q.since = s.now
		}
		s.memory.waitSince = s.now
		s.endWait()
	case q.leftQueue(verdict):
		q.since, s.memory.waitSince = time.Time{}, s.now
	default:
		q.since = time.Time{}
	}
	q.members = make(map[inventory.Ref]struct{}, len(verdict.Queued))
	for _, queued := range verdict.Queued {
		q.members[queued.Ref] = struct{}{}
	}
}

// awaitQueue waits for devices. There is no timeout to that.
func (s *scope) awaitQueue(verdict apply.Verdict) error {
	if quiet := s.memory.queue.since.Add(quietWait).Sub(s.now); quiet > 0 && conditions.IsReconciling(s.obj) {
		message := conditions.GetMessage(s.obj, kustomizev1.ReconcilingCondition)
		return reconcile.Progress(quiet, kustomizev1.ProgressingReason, errors.New(message))
	}
	message := waitingText(verdict)
	conditions.MarkUnknown(s.obj, kustomizev1.HealthyCondition, kustomizev1.WaitingForGPUsReason, "%s", message)
	return reconcile.Hold(queueInterval, kustomizev1.WaitingForGPUsReason, errors.New(message))
}

func waitingText(verdict apply.Verdict) string {
	return "Waiting for GPUs: " + apply.Describe(verdict.Queued)
}

// ailments are what is wrong with objects that were healthy once. A job that
// runs was counted as ready while it was queued, or suspended: that it runs is
// what everybody hoped for.
func ailments(verdict apply.Verdict) []apply.Ailing {
	return slices.DeleteFunc(slices.Concat(verdict.Failed, verdict.Pending), func(a apply.Ailing) bool {
		return a.Health.Ends && a.Health.Status == health.InProgress
	})
}

// markHealthy tells that nothing is ill. What was preempted back into a queue
// does not serve, and is not ill.
func (s *scope) markHealthy(verdict apply.Verdict) {
	if len(verdict.Queued) > 0 {
		conditions.MarkUnknown(s.obj, kustomizev1.HealthyCondition, kustomizev1.WaitingForGPUsReason, "%s", waitingText(verdict))
		return
	}
	conditions.MarkTrue(s.obj, kustomizev1.HealthyCondition, kustomizev1.SucceededReason, "Health check passed")
}
