// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// quietWait is how long a wait for health goes unmentioned. Most objects are
// healthy by then, and a status that nobody can read is a request for nothing.
const quietWait = time.Second

// checkHealth judges what was applied. It never waits: pending objects bring
// the Kustomization back by themselves, and the timeout does by the requeue.
func (c *Controller) checkHealth(ctx context.Context, s *scope) error {
	recordCompleted(s.obj, s.engine.Finished(s.set), metav1.Time{Time: s.now})
	c.pollUnwatched(s)
	if !s.obj.Spec.Wait && len(s.targets) == 0 {
		conditions.Delete(s.obj, kustomizev1.HealthyCondition)
		s.succeed()
		return nil
	}
	if s.full {
		if err := c.mayRead(ctx, s); err != nil {
			s.written = false // to be asked again before any health is told
			return err
		}
	}
	verdict, err := s.engine.Health(ctx, s.set, s.client, s.obj.Spec.Wait, s.targets)
	if err != nil {
		return reconcile.Fail(kustomizev1.HealthCheckFailedReason, err)
	}
	verdict.Failed = append(verdict.Failed, failedJobs(s.obj, s.set)...)
	s.explain = func(ailing []apply.Ailing) []apply.Ailing { return s.memory.explanation.of(ctx, s, ailing) }
	if verdict, err = c.heedQueue(ctx, s, verdict); err != nil {
		return err
	}
	if s.memory.wasHealthy {
		return s.stayHealthy(verdict)
	}
	return s.becomeHealthy(verdict)
}

// pollInterval is how often objects are looked at that may not be watched.
const pollInterval = 10 * time.Second

// pollUnwatched has the Kustomization looked at regularly if some of its
// objects may not be watched, and says so once.
func (c *Controller) pollUnwatched(s *scope) {
	kinds := strings.Join(s.engine.Unwatched(s.set), ", ")
	if kinds != "" {
		s.recheckIn(pollInterval)
	}
	if kinds != s.memory.unwatched {
		s.memory.unwatched = kinds
		c.unwatched(s, kinds)
	}
}

// mayRead makes sure that the tenant could see by itself what the spec asks to
// be told about.
func (c *Controller) mayRead(ctx context.Context, s *scope) error {
	for _, target := range s.targets {
		ref := inventory.Ref{Namespace: target.Namespace, Name: target.Name, Group: target.GVK.Group, Kind: target.GVK.Kind}
		if s.set.Member(ref) {
			continue
		}
		if err := s.client.MayGet(ctx, ref, target.GVK.Version); err != nil {
			return reconcile.Fail(kustomizev1.HealthCheckFailedReason, fmt.Errorf("spec.healthChecks: %w", err))
		}
	}
	return nil
}

// becomeHealthy is for what was applied and not healthy since: it fails at the
// first object that cannot recover, or when the timeout is over. Without fail
// fast it fails when nothing is left to wait for.
func (s *scope) becomeHealthy(verdict apply.Verdict) error {
	if verdict.Healthy() {
		s.memory.wasHealthy = true
		s.endWait()
		conditions.MarkTrue(s.obj, kustomizev1.HealthyCondition, kustomizev1.SucceededReason, "Health check passed")
		s.succeed()
		return nil
	}
	if s.timeQueue(verdict); onlyQueued(verdict) {
		return s.awaitQueue(verdict)
	}
	pending := slices.Concat(verdict.Pending, verdict.Scaling)
	timeout := s.obj.GetTimeout()
	left := s.memory.waitSince.Add(timeout).Sub(s.now)
	switch {
	case len(verdict.Failed) > 0 && (!s.patient || len(pending) == 0):
		return s.unhealthy("", verdict.Failed)
	case left <= 0:
		return s.unhealthy("timeout waiting for: ", slices.Concat(verdict.Failed, pending))
	}
	message := fmt.Sprintf("Running health checks for revision %s with a timeout of %s", s.artifact.Revision, timeout)
	if quiet := s.memory.waitSince.Add(quietWait).Sub(s.now); quiet > 0 && conditions.IsReconciling(s.obj) {
		message, left = conditions.GetMessage(s.obj, fluxmeta.ReconcilingCondition), min(left, quiet)
	} else {
		s.noteWait()
		conditions.MarkUnknown(s.obj, kustomizev1.HealthyCondition, kustomizev1.ProgressingReason, "%s", message)
	}
	return reconcile.Progress(sooner(left, verdict.Recheck), kustomizev1.ProgressingReason, errors.New(message))
}

// stayHealthy is for what was healthy once. Healthy tells at once; Ready, and
// with it whoever depends on this, only when the illness lasts. Replicas that
// are yet to come while as many as before serve are no illness.
func (s *scope) stayHealthy(verdict apply.Verdict) error {
	ailing := ailments(verdict)
	if len(ailing) == 0 {
		s.memory.illSince = time.Time{}
		s.markHealthy(verdict)
		s.succeed()
		return nil
	}
	if s.memory.illSince.IsZero() {
		s.memory.illSince = s.illBefore()
	}
	if left := s.memory.illSince.Add(s.obj.GetTimeout()).Sub(s.now); left > 0 {
		conditions.MarkFalse(s.obj, kustomizev1.HealthyCondition, kustomizev1.HealthCheckFailedReason, "%s", healthFailed("", ailing).Error())
		s.recheckIn(sooner(left, verdict.Recheck))
		s.succeed()
		return nil
	}
	return s.unhealthy("", ailing)
}

// illBefore is since when the status says that something once healthy is ill:
// a restart does not extend the illness.
func (s *scope) illBefore() time.Time {
	c := conditions.Get(s.obj, kustomizev1.HealthyCondition)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != kustomizev1.HealthCheckFailedReason {
		return s.now
	}
	return s.past(c.LastTransitionTime)
}

// unhealthy gives up on objects. what says why they are not waited for.
func (s *scope) unhealthy(what string, ailing []apply.Ailing) error {
	s.endWait()
	if s.explain != nil {
		ailing = s.explain(ailing)
	}
	err := healthFailed(what, ailing)
	conditions.MarkFalse(s.obj, kustomizev1.HealthyCondition, kustomizev1.HealthCheckFailedReason, "%s", err.Error())
	return reconcile.Fail(kustomizev1.HealthCheckFailedReason, err)
}

func healthFailed(what string, ailing []apply.Ailing) error {
	return fmt.Errorf("health check failed: %s%s", what, apply.Describe(ailing))
}

// succeed notes that the revision holds.
func (s *scope) succeed() {
	s.obj.Status.LastAppliedRevision = s.artifact.Revision
	s.obj.Status.LastAppliedOriginRevision = s.artifact.Metadata[originRevision]
}

// failedJobs are jobs that ended badly and were removed since: nobody is left
// to ask, but the record says so.
func failedJobs(obj *kustomizev1.Kustomization, set *apply.Set) []apply.Ailing {
	if obj.Status.Weir == nil {
		return nil
	}
	var failed []apply.Ailing
	for _, job := range obj.Status.Weir.CompletedJobs {
		ref, err := inventory.Parse(job.ID)
		if err != nil || job.Succeeded || !set.Skipped(ref) {
			continue
		}
		failed = append(failed, apply.Ailing{Ref: ref, Health: health.Result{Status: health.Failed, Message: "it failed before it was removed"}})
	}
	return failed
}

// recheckIn has the Kustomization looked at after the given time, or sooner.
func (s *scope) recheckIn(after time.Duration) {
	if s.recheck == 0 || after < s.recheck {
		s.recheck = after
	}
}

// sooner is the earlier of two times to look again; zero is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
