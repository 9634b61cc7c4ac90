// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const timeout = 2 * time.Minute

// ailing is an object of that status in a list of its own.
func ailing(status health.Status) []apply.Ailing {
	return []apply.Ailing{{Ref: web, Health: health.Result{Status: status}}}
}

var (
	failedOne  = apply.Verdict{Failed: ailing(health.Failed)}
	pendingOne = apply.Verdict{Pending: ailing(health.InProgress)}
	scalingOne = apply.Verdict{Scaling: ailing(health.InProgress)}
)

func TestBecomeHealthy(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict apply.Verdict
		waited  time.Duration
		// reconciling is set if the status says so from before.
		reconciling bool
		kind        reconcile.Kind
		after       time.Duration
		text        string
		healthy     metav1.ConditionStatus // of the condition; "" for none
	}{
		"healthy":                   {verdict: apply.Verdict{}, healthy: metav1.ConditionTrue},
		"pending":                   {verdict: pendingOne, waited: 10 * time.Second, kind: reconcile.KindProgressing, after: timeout - 10*time.Second, text: "Running health checks for revision main@sha1:1 with a timeout of 2m0s", healthy: metav1.ConditionUnknown},
		"scaling":                   {verdict: scalingOne, waited: 10 * time.Second, kind: reconcile.KindProgressing, after: timeout - 10*time.Second, text: "Running health checks", healthy: metav1.ConditionUnknown},
		"pending, a moment":         {verdict: pendingOne, reconciling: true, kind: reconcile.KindProgressing, after: quietWait, text: "applying"},
		"pending, nothing said yet": {verdict: pendingOne, kind: reconcile.KindProgressing, after: timeout, text: "Running health checks", healthy: metav1.ConditionUnknown},
		"pending too long":          {verdict: pendingOne, waited: timeout, kind: reconcile.KindFailed, text: "health check failed: timeout waiting for: [Service/ns/web status: 'InProgress']", healthy: metav1.ConditionFalse},
		"scaling too long":          {verdict: scalingOne, waited: timeout, kind: reconcile.KindFailed, text: "timeout waiting for: [Service/ns/web", healthy: metav1.ConditionFalse},
		"failed":                    {verdict: failedOne, kind: reconcile.KindFailed, text: "health check failed: [Service/ns/web status: 'Failed']", healthy: metav1.ConditionFalse},
		"failed among pending":      {verdict: apply.Verdict{Failed: ailing(health.Failed), Pending: ailing(health.InProgress)}, kind: reconcile.KindFailed, text: "health check failed: [Service/ns/web status: 'Failed']", healthy: metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
			s.obj.Status.LastAppliedRevision = ""
			s.memory.wasHealthy, s.memory.waitSince = false, s.now.Add(-tc.waited)
			if tc.reconciling {
				reconcile.MarkProgressing(s.obj, kustomizev1.ProgressingReason, "applying")
			}
			err := s.becomeHealthy(tc.verdict)
			expect(t, err, tc.kind, tc.after, tc.text)
			if s.memory.wasHealthy != (err == nil) || (s.obj.Status.LastAppliedRevision != "") != (err == nil) {
				t.Errorf("once healthy: %t, applied %q", s.memory.wasHealthy, s.obj.Status.LastAppliedRevision)
			}
			expectHealthy(t, s, tc.healthy)
		})
	}
}

func TestStayHealthy(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict apply.Verdict
		ill     time.Duration // since when; zero: it was well
		text    string        // of the error; "" for none
		recheck time.Duration
		healthy metav1.ConditionStatus
	}{
		"well":            {verdict: apply.Verdict{}, healthy: metav1.ConditionTrue},
		"well again":      {verdict: apply.Verdict{}, ill: time.Minute, healthy: metav1.ConditionTrue},
		"scaling":         {verdict: scalingOne, healthy: metav1.ConditionTrue},
		"scaling forever": {verdict: scalingOne, ill: time.Hour, healthy: metav1.ConditionTrue},
		"falls ill":       {verdict: pendingOne, recheck: timeout, healthy: metav1.ConditionFalse},
		"fails":           {verdict: failedOne, recheck: timeout, healthy: metav1.ConditionFalse},
		"ill for a while": {verdict: pendingOne, ill: time.Minute, recheck: timeout - time.Minute, healthy: metav1.ConditionFalse},
		"ill too long":    {verdict: pendingOne, ill: timeout, text: "health check failed: [Service/ns/web status: 'InProgress']", healthy: metav1.ConditionFalse},
		"failed too long": {verdict: failedOne, ill: timeout, text: "health check failed: [Service/ns/web status: 'Failed']", healthy: metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			s.obj.Spec.Timeout = &metav1.Duration{Duration: timeout}
			if tc.ill > 0 {
				s.memory.illSince = s.now.Add(-tc.ill)
			}
			expect(t, s.stayHealthy(tc.verdict), reconcile.KindFailed, 0, tc.text)
			if s.recheck != tc.recheck {
				t.Errorf("looks again after %s, want %s", s.recheck, tc.recheck)
			}
			if well := tc.healthy == metav1.ConditionTrue; well != s.memory.illSince.IsZero() {
				t.Errorf("ill since %s", s.memory.illSince)
			}
			expectHealthy(t, s, tc.healthy)
		})
	}
}

func expect(t *testing.T, err error, kind reconcile.Kind, after time.Duration, text string) {
	t.Helper()
	if err == nil {
		if text != "" {
			t.Errorf("no error, want %q", text)
		}
		return
	}
	e, ok := errors.AsType[*reconcile.Error](err)
	if !ok || text == "" || e.Kind != kind || e.After != after || !strings.Contains(err.Error(), text) {
		t.Errorf("error %#v (%v), want kind %d after %s with %q", err, err, kind, after, text)
	}
}

func expectHealthy(t *testing.T, s *scope, want metav1.ConditionStatus) {
	t.Helper()
	var got metav1.ConditionStatus
	if c := conditions.Get(s.obj, kustomizev1.HealthyCondition); c != nil {
		got = c.Status
	}
	if got != want {
		t.Errorf("Healthy is %q, want %q", got, want)
	}
}
