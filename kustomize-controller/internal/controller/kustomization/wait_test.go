// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/events"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

func TestResumeWait(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	began := now.Add(-time.Minute)
	same := attempt{generation: 1, digest: "sha256:1"}
	const bySource, bySelf = "GitRepository/ns/repo", "Kustomization/ns/app"
	failed := func(s *scope) {
		s.obj.Status.Weir.Wait = nil
		s.obj.Status.LastAttemptedRevision = s.artifact.Revision
		conditions.MarkFalse(s.obj, fluxmeta.ReadyCondition, kustomizev1.HealthCheckFailedReason, "ill")
		s.obj.Status.Conditions[0].LastTransitionTime = metav1.NewTime(began)
	}
	for name, tc := range map[string]struct {
		before attempt
		tried  attempt
		change func(*scope)
		// since is when the wait began; zero: it has to begin anew.
		since time.Time
		by    string // what canceled it; "" if it was not
		gone  bool
	}{
		"repeated":                     {before: same, tried: same, since: began},
		"repeated, asked":              {before: same, tried: same, change: ask, by: bySelf, gone: true},
		"restart":                      {tried: same, since: began},
		"restart, asked":               {tried: same, change: ask, by: bySelf, gone: true},
		"restart, other revision":      {tried: attempt{generation: 1, digest: "sha256:2"}, by: bySource, gone: true},
		"restart, other spec":          {tried: attempt{generation: 2, digest: "sha256:1"}, by: bySelf, gone: true},
		"restart, nothing known":       {tried: same, change: func(s *scope) { s.obj.Status.Weir = nil; s.memory.waitSince = time.Time{} }, gone: true},
		"restart, had its time":        {tried: same, change: failed, since: began.Add(-timeout), gone: true},
		"restart, the clock went back": {tried: same, change: func(s *scope) { s.obj.Status.Weir.Wait.Since = metav1.NewTime(now.Add(time.Hour)) }, since: now},
		"restart, had its time, the clock went back": {tried: same, change: func(s *scope) {
			failed(s)
			s.obj.Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(time.Hour))
		}, since: now.Add(-timeout), gone: true},
		"restart, failed, edited":  {tried: same, change: func(s *scope) { failed(s); s.obj.Generation = 2 }, gone: true},
		"restart, failed, pushed":  {tried: same, change: func(s *scope) { failed(s); s.artifact.Revision = "main@sha1:2" }, gone: true},
		"revision":                 {before: same, tried: attempt{generation: 1, digest: "sha256:2"}, by: bySource, gone: true},
		"spec":                     {before: same, tried: attempt{generation: 2, digest: "sha256:1"}, by: bySelf, gone: true},
		"variables":                {before: same, tried: attempt{generation: 1, digest: "sha256:1", variables: "x"}, by: bySelf, gone: true},
		"revision, was not waited": {before: same, tried: attempt{generation: 1, digest: "sha256:2"}, change: func(s *scope) { s.obj.Status.Weir = nil }, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(now)
			s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
			s.obj.Status.Weir = &kustomizev1.WeirStatus{Wait: &kustomizev1.Wait{Generation: 1, Digest: "sha256:1", Since: metav1.NewTime(began)}}
			s.memory.waitSince, s.memory.tried = began, tc.tried
			if tc.change != nil {
				tc.change(s)
			}
			recorder := events.NewFakeRecorder(5, false)
			(&Controller{Events: recorder}).resumeWait(s, tc.before)
			if !s.memory.waitSince.Equal(tc.since) {
				t.Errorf("waits since %s, want %s", s.memory.waitSince, tc.since)
			}
			if gone := ongoingWait(s.obj) == nil; gone != tc.gone {
				t.Errorf("the status tells of no wait: %t, want %t", gone, tc.gone)
			}
			want, healthy := "", ""
			if tc.by != "" {
				want = "HealthCheckCanceled: Health checks canceled due to new reconciliation triggered by " + tc.by
				healthy = "New reconciliation triggered by " + tc.by
			}
			close(recorder.Events)
			got := ""
			for event := range recorder.Events {
				got += event.Reason + ": " + event.Message
			}
			if got != want {
				t.Errorf("told %q, want %q", got, want)
			}
			if got := conditions.GetMessage(s.obj, fluxmeta.HealthyCondition); got != healthy {
				t.Errorf("Healthy says %q, want %q", got, healthy)
			}
		})
	}
}

func ask(s *scope) { s.obj.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"} }

// The status is written for other reasons; what is in it must not change by
// being written and read again.
func TestNotedWaitIsStable(t *testing.T) {
	s := held(time.Now())
	s.memory.waitSince = s.now
	s.noteWait()
	first := s.obj.DeepCopy()
	s.noteWait()
	if diff := cmp.Diff(first.Status, s.obj.Status); diff != "" {
		t.Errorf("noted twice (-first +second):\n%s", diff)
	}
	if since := s.obj.Status.Weir.Wait.Since; since.Nanosecond() != 0 || s.now.Sub(since.Time) >= time.Second {
		t.Errorf("since %s, want the second of %s", since, s.now)
	}
	s.endWait()
	if s.obj.Status.Weir != nil {
		t.Errorf("status.weir is %+v, want none", s.obj.Status.Weir)
	}
	s.obj.Status.Weir = &kustomizev1.WeirStatus{CompletedJobs: []kustomizev1.CompletedJob{{ID: "x"}}}
	s.noteWait()
	s.endWait()
	if s.obj.Status.Weir == nil || s.obj.Status.Weir.Wait != nil || len(s.obj.Status.Weir.CompletedJobs) != 1 {
		t.Errorf("status.weir is %+v, want the jobs only", s.obj.Status.Weir)
	}
}

// Without fail fast, an object that has failed is waited with until the others
// are done or the time is over.
func TestWaitsForTheOthers(t *testing.T) {
	both := apply.Verdict{Failed: ailing(health.Failed), Pending: ailing(health.InProgress)}
	for name, tc := range map[string]struct {
		verdict apply.Verdict
		waited  time.Duration
		kind    reconcile.Kind
		after   time.Duration
		text    string
	}{
		"one failed, one pending": {verdict: both, waited: time.Minute, kind: reconcile.KindProgressing, after: timeout - time.Minute, text: "Running health checks"},
		"only failed ones left":   {verdict: failedOne, kind: reconcile.KindFailed, text: "health check failed: [Service/ns/web status: 'Failed']"},
		"too long": {
			verdict: both, waited: timeout, kind: reconcile.KindFailed,
			text: "timeout waiting for: [Service/ns/web status: 'Failed', Service/ns/web status: 'InProgress']",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
			s.patient, s.memory.wasHealthy, s.memory.waitSince = true, false, s.now.Add(-tc.waited)
			expect(t, s.becomeHealthy(tc.verdict), tc.kind, tc.after, tc.text)
		})
	}
}

// A restart does not make an illness younger.
func TestIllnessOutlivesARestart(t *testing.T) {
	s := held(time.Now())
	s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
	expect(t, s.stayHealthy(pendingOne), reconcile.KindFailed, 0, "")
	for i := range s.obj.Status.Conditions {
		s.obj.Status.Conditions[i].LastTransitionTime = metav1.NewTime(s.now.Add(-time.Minute))
	}
	s.memory.illSince, s.recheck = time.Time{}, 0
	expect(t, s.stayHealthy(pendingOne), reconcile.KindFailed, 0, "")
	if want := timeout - time.Minute; s.recheck != want {
		t.Errorf("looks again after %s, want %s", s.recheck, want)
	}
}

// An illness that began while the clock was ahead is no younger than now.
func TestIllnessOfAClockThatWentBack(t *testing.T) {
	s := held(time.Now())
	s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
	expect(t, s.stayHealthy(pendingOne), reconcile.KindFailed, 0, "")
	for i := range s.obj.Status.Conditions {
		s.obj.Status.Conditions[i].LastTransitionTime = metav1.NewTime(s.now.Add(time.Hour))
	}
	s.memory.illSince, s.recheck = time.Time{}, 0
	expect(t, s.stayHealthy(pendingOne), reconcile.KindFailed, 0, "")
	if s.recheck != timeout {
		t.Errorf("looks again after %s, want %s", s.recheck, timeout)
	}
}
