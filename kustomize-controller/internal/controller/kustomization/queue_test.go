// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

var queuedJob = inventory.Ref{Namespace: "ns", Name: "train", Group: "batch", Kind: "Job"}

func trainIs(status health.Status) []apply.Ailing {
	return []apply.Ailing{{Ref: queuedJob, Health: health.Result{Status: status, Message: "why", Ends: true}}}
}

// waitingScope is a scope whose revision is applied and was not healthy yet.
func waitingScope(waited time.Duration) *scope {
	s := held(time.Now())
	s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
	s.memory.wasHealthy, s.memory.waitSince = false, s.now.Add(-waited)
	return s
}

func TestBecomeHealthyInAQueue(t *testing.T) {
	const waiting = "Waiting for GPUs: [Job/ns/train status: 'Queued': why]"
	queued := apply.Verdict{Queued: trainIs(health.Queued)}
	both := apply.Verdict{Queued: trainIs(health.Queued), Pending: ailing(health.InProgress)}
	for name, tc := range map[string]struct {
		// before is the verdict of a minute ago; waited is how long the
		// timeout ran before that.
		before  apply.Verdict
		waited  time.Duration
		verdict apply.Verdict
		kind    reconcile.Kind
		after   time.Duration
		text    string
	}{
		"queued":                      {before: queued, verdict: queued, kind: reconcile.KindHeld, after: queueInterval, text: waiting},
		"queued for longer than that": {before: queued, waited: time.Hour, verdict: queued, kind: reconcile.KindHeld, after: queueInterval, text: waiting},
		"left the queue":              {before: queued, waited: time.Hour, verdict: apply.Verdict{Pending: trainIs(health.InProgress)}, kind: reconcile.KindProgressing, after: timeout, text: "Running health checks"},
		"left it among others":        {before: both, verdict: apply.Verdict{Pending: trainIs(health.InProgress)}, kind: reconcile.KindProgressing, after: timeout, text: "Running health checks"},
		"another is pending":          {before: both, verdict: both, kind: reconcile.KindProgressing, after: timeout - time.Minute, text: "Running health checks"},
		"another takes too long":      {before: both, waited: timeout - time.Minute, verdict: both, kind: reconcile.KindFailed, text: "timeout waiting for: [Service/ns/web status: 'InProgress']"},
		"another is done":             {before: both, verdict: queued, kind: reconcile.KindHeld, after: queueInterval, text: waiting},
		"another failed":              {before: both, verdict: apply.Verdict{Queued: trainIs(health.Queued), Failed: ailing(health.Failed)}, kind: reconcile.KindFailed, text: "health check failed: [Service/ns/web status: 'Failed']"},
		"failed":                      {before: queued, verdict: apply.Verdict{Failed: trainIs(health.Failed)}, kind: reconcile.KindFailed, text: "health check failed: [Job/ns/train status: 'Failed': why]"},
		"ran":                         {before: queued, verdict: apply.Verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := waitingScope(tc.waited)
			_ = s.becomeHealthy(tc.before)
			s.now = s.now.Add(time.Minute)
			expect(t, s.becomeHealthy(tc.verdict), tc.kind, tc.after, tc.text)
			healthy := conditions.Get(s.obj, fluxmeta.HealthyCondition)
			if tc.kind == reconcile.KindHeld && (healthy.Reason != kustomizev1.WaitingForGPUsReason || s.obj.Status.Weir != nil) {
				t.Errorf("condition %v and status.weir %v, want it to wait without a clock", healthy, s.obj.Status.Weir)
			}
		})
	}
}

// A Workload is mostly admitted at once: then nobody needs to read of it.
func TestShortStayInAQueueIsNotMentioned(t *testing.T) {
	s := waitingScope(0)
	reconcile.MarkProgressing(s.obj, kustomizev1.ProgressingReason, "applying")
	expect(t, s.becomeHealthy(apply.Verdict{Queued: trainIs(health.Queued)}), reconcile.KindProgressing, quietWait, "applying")
	s.now = s.now.Add(quietWait)
	expect(t, s.becomeHealthy(apply.Verdict{Queued: trainIs(health.Queued)}), reconcile.KindHeld, queueInterval, "Waiting for GPUs")
}

func TestStayHealthyInAQueue(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict apply.Verdict
		healthy metav1.ConditionStatus
		reason  string
	}{
		"preempted":                     {apply.Verdict{Queued: trainIs(health.Queued)}, metav1.ConditionUnknown, kustomizev1.WaitingForGPUsReason},
		"counted as ready, and runs":    {apply.Verdict{Pending: trainIs(health.InProgress)}, metav1.ConditionTrue, kustomizev1.SucceededReason},
		"counted as ready, and failed":  {apply.Verdict{Failed: trainIs(health.Failed)}, metav1.ConditionFalse, kustomizev1.HealthCheckFailedReason},
		"counted as ready, and gone":    {apply.Verdict{Pending: trainIs(health.NotFound)}, metav1.ConditionFalse, kustomizev1.HealthCheckFailedReason},
		"preempted, and another is ill": {apply.Verdict{Queued: trainIs(health.Queued), Pending: ailing(health.InProgress)}, metav1.ConditionFalse, kustomizev1.HealthCheckFailedReason},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			if err := s.stayHealthy(tc.verdict); err != nil {
				t.Fatal(err)
			}
			if got := conditions.Get(s.obj, fluxmeta.HealthyCondition); got.Status != tc.healthy || got.Reason != tc.reason {
				t.Errorf("Healthy is %s for %s, want %s for %s", got.Status, got.Reason, tc.healthy, tc.reason)
			}
			if ill := tc.healthy == metav1.ConditionFalse; ill == s.memory.illSince.IsZero() {
				t.Errorf("ill since %s", s.memory.illSince)
			}
		})
	}
}

func TestHeedQueueCountsAsReady(t *testing.T) {
	s := waitingScope(0)
	s.obj.Spec.Weir = &kustomizev1.WeirSpec{QueuedIsReady: true}
	verdict, err := (&Controller{}).heedQueue(t.Context(), s, apply.Verdict{Queued: trainIs(health.Queued)})
	if err != nil || !verdict.Healthy() || s.recheck != 0 {
		t.Errorf("%+v, %v, again after %s; want it healthy and left alone", verdict, err, s.recheck)
	}
}
