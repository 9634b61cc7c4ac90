// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"fmt"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// resumeWait sets the clock of an attempt that is about to be applied. One
// that is only repeated, or that an earlier process of this controller began
// to wait for, goes on with its clock. Any other one, and one that somebody
// asks for, begins anew and ends a wait that is under way. before is the
// attempt that this process made last. It returns when the reconciliation at
// hand began.
func (c *Controller) resumeWait(s *scope, before attempt) (began time.Time) {
	m := s.memory
	wait := ongoingWait(s.obj)
	restarted := before == attempt{} && !s.moved
	switch {
	case m.asked(s):
	case before == m.tried:
		return s.now
	case restarted && wait != nil && wait.Generation == m.tried.generation && wait.Digest == m.tried.digest:
		m.waitSince = s.past(wait.Since)
		return m.waitSince
	case restarted && wait == nil && s.failedBefore():
		// It had its time.
		m.waitSince = s.past(*conditions.GetLastTransitionTime(s.obj, kustomizev1.ReadyCondition)).Add(-s.obj.GetTimeout())
		return s.now
	}
	m.waitSince = time.Time{}
	if wait != nil {
		s.endWait()
		s.recordCanceled()
		c.canceled(s, s.trigger(wait))
	}
	return s.now
}

// past is a time of the status as the clock of this process has it, which no step
// of the time of day moves. It is now at the latest: the clock may have been put
// back since it was written.
func (s *scope) past(written metav1.Time) time.Time {
	return s.now.Add(-max(s.now.Sub(written.Time), 0))
}

// ongoingWait returns the wait that the status tells of, or nil.
func ongoingWait(obj *kustomizev1.Kustomization) *kustomizev1.Wait {
	if obj.Status.Weir == nil {
		return nil
	}
	return obj.Status.Weir.Wait
}

// failedBefore reports whether the status says that this very attempt was
// applied and did not become healthy.
func (s *scope) failedBefore() bool {
	ready := conditions.Get(s.obj, kustomizev1.ReadyCondition)
	return ready != nil && ready.Reason == kustomizev1.HealthCheckFailedReason && ready.Status == metav1.ConditionFalse &&
		ready.ObservedGeneration == s.obj.Generation && s.obj.Status.LastAttemptedRevision == s.artifact.Revision
}

// trigger names the object that brought the end of a wait.
func (s *scope) trigger(wait *kustomizev1.Wait) string {
	if wait.Digest != s.memory.tried.digest {
		return fmt.Sprintf("%s/%s/%s", s.obj.Spec.SourceRef.Kind, s.obj.GetSourceNamespace(), s.obj.Spec.SourceRef.Name)
	}
	return fmt.Sprintf("%s/%s/%s", kustomizev1.KustomizationKind, s.obj.Namespace, s.obj.Name)
}

// canceled tells that a wait ended because something newer came.
func (c *Controller) canceled(s *scope, trigger string) {
	conditions.MarkFalse(s.obj, kustomizev1.HealthyCondition, kustomizev1.HealthCheckCanceledReason,
		"New reconciliation triggered by %s", trigger)
	c.event(s, corev1.EventTypeNormal, kustomizev1.HealthCheckCanceledReason,
		"Health checks canceled due to new reconciliation triggered by "+trigger)
}

// noteWait makes the wait outlive this process. It is called where the status
// changes anyway.
func (s *scope) noteWait() {
	s.weirStatus().Wait = &kustomizev1.Wait{
		Generation: s.memory.tried.generation,
		Digest:     s.memory.tried.digest,
		// The API server keeps whole seconds.
		Since: metav1.NewTime(s.memory.waitSince.Truncate(time.Second)),
	}
}

// endWait takes the wait out of the status.
func (s *scope) endWait() {
	if s.obj.Status.Weir != nil {
		s.obj.Status.Weir.Wait = nil
		s.tidyWeirStatus()
	}
}
