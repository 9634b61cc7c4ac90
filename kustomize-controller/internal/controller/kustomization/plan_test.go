// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// toPlan makes a Kustomization one that is planned, with a plan of a revision
// if it is not "".
func toPlan(obj *kustomizev1.Kustomization, revision string) {
	obj.Spec.Weir = &kustomizev1.WeirSpec{Mode: meta.ModePlan}
	if revision != "" {
		obj.Status.Weir = &kustomizev1.WeirStatus{Plan: &meta.Plan{Revision: revision}}
		conditions.MarkTrue(obj, kustomizev1.ReadyCondition, kustomizev1.PlannedReason, "planned")
	}
}

func TestDecidePlan(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		change func(*scope)
		full   bool
	}{
		"planned":          {func(s *scope) { toPlan(s.obj, "main@sha1:1") }, false},
		"plan was removed": {func(s *scope) { toPlan(s.obj, "") }, true},
		"another revision": {func(s *scope) { toPlan(s.obj, "main@sha1:0") }, true},
		"another digest":   {func(s *scope) { toPlan(s.obj, "main@sha1:1"); s.artifact.Digest = "sha256:2" }, true},
		"interval is over": {func(s *scope) { toPlan(s.obj, "main@sha1:1"); s.memory.nextFull = now }, true},
		"after a restart":  {func(s *scope) { toPlan(s.obj, "main@sha1:1"); *s.memory = memory{} }, true},
		"failed, not yet time": {func(s *scope) {
			toPlan(s.obj, "")
			s.memory.failure, s.memory.retryAt = errors.New("x"), now.Add(time.Minute)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(now)
			s.memory.applied = attempt{} // nothing was applied in this mode
			tc.change(s)
			c := &Controller{Options: Options{Jitter: func(d time.Duration) time.Duration { return d }}}
			if err := c.decide(t.Context(), s); !errors.Is(err, s.memory.failure) {
				t.Fatal(err)
			}
			if s.full != tc.full {
				t.Errorf("full = %t, want %t", s.full, tc.full)
			}
		})
	}
}

func TestSettlePlan(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*scope)
		err    error
		stays  bool
	}{
		"holds":               {change: func(*scope) {}, stays: true},
		"planned anew":        {change: func(s *scope) { s.full = true }, stays: true},
		"could not be":        {change: func(s *scope) { s.full = true }, err: errors.New("refused")},
		"waits for something": {change: func(*scope) {}, err: errors.New("not ready"), stays: true},
		"is applied now":      {change: func(s *scope) { s.obj.Spec.Weir.Mode = meta.ModeApply }},
		"mode is taken away":  {change: func(s *scope) { s.obj.Spec.Weir = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			toPlan(s.obj, "main@sha1:1")
			tc.change(s)
			s.settlePlan(tc.err)
			if stays := planOf(s.obj) != nil; stays != tc.stays || !stays && s.obj.Status.Weir != nil {
				t.Errorf("the plan stays: %t, want %t; status.weir is %+v", stays, tc.stays, s.obj.Status.Weir)
			}
		})
	}
}

func TestPlannedDependency(t *testing.T) {
	const only = ": it is only planned (its spec.weir.mode is Plan), and nothing of it is applied"
	for name, tc := range map[string]struct {
		dep  func(*kustomizev1.Kustomization)
		self func(*kustomizev1.Kustomization)
		why  string
		// not says that the dependency is not a planned one.
		not bool
	}{
		"applied":                  {dep: func(*kustomizev1.Kustomization) {}, not: true},
		"planned":                  {dep: func(k *kustomizev1.Kustomization) { toPlan(k, "main@sha1:1") }, why: only},
		"planned, both":            {dep: func(k *kustomizev1.Kustomization) { toPlan(k, "main@sha1:1") }, self: func(k *kustomizev1.Kustomization) { toPlan(k, "") }},
		"another revision, both":   {dep: func(k *kustomizev1.Kustomization) { toPlan(k, "main@sha1:0") }, self: func(k *kustomizev1.Kustomization) { toPlan(k, "") }, why: ": it has not planned revision main@sha1:1 yet"},
		"not planned yet, both":    {dep: func(k *kustomizev1.Kustomization) { toPlan(k, "") }, self: func(k *kustomizev1.Kustomization) { toPlan(k, "") }, why: ": ReconciliationSucceeded"},
		"another source, both":     {dep: func(k *kustomizev1.Kustomization) { toPlan(k, "v1"); k.Spec.SourceRef.Name = "other" }, self: func(k *kustomizev1.Kustomization) { toPlan(k, "") }},
		"older generation, both":   {dep: func(k *kustomizev1.Kustomization) { toPlan(k, "main@sha1:1"); k.Generation = 2 }, self: func(k *kustomizev1.Kustomization) { toPlan(k, "") }, why: ": Planned"},
		"applied, for one to plan": {dep: func(*kustomizev1.Kustomization) {}, self: func(k *kustomizev1.Kustomization) { toPlan(k, "") }, not: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, dep := held(time.Now()), held(time.Now()).obj
			if tc.self != nil {
				tc.self(s.obj)
			}
			tc.dep(dep)
			why, planned := plannedDependency(s, dep)
			if why != tc.why || planned == tc.not {
				t.Errorf("unready because %q, planned %t; want %q, %t", why, planned, tc.why, !tc.not)
			}
			if got := unready(s, dep); planned && got != tc.why {
				t.Errorf("checkDependencies says %q", got)
			}
		})
	}
}
