// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

func TestNewPlan(t *testing.T) {
	ref := func(name string) inventory.Ref { return inventory.Ref{Namespace: "ns", Name: name, Kind: "ConfigMap"} }
	got := newPlan("main@sha1:1", []apply.Difference{
		{Ref: ref("same"), Action: apply.Unchanged},
		{Ref: ref("left"), Action: apply.Skipped},
		{Ref: ref("new"), Action: apply.Created},
		{Ref: ref("other"), Action: apply.Configured, Paths: []string{"data.key"}, Omitted: 3},
		{Ref: ref("anew"), Action: apply.Recreated},
	}, []apply.Doomed{{Ref: ref("old")}})
	want := &meta.Plan{
		Revision: "main@sha1:1", Created: 1, Changed: 2, Deleted: 1, Unchanged: 2,
		ObjectChanges: meta.ObjectChanges{Changes: []meta.ObjectChange{
			{ID: "ns_old__ConfigMap", Action: "deleted"},
			{ID: "ns_anew__ConfigMap", Action: "recreated"},
			{ID: "ns_other__ConfigMap", Action: "configured", Paths: []string{"data.key"}, OmittedPaths: 3},
			{ID: "ns_new__ConfigMap", Action: "created"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	text := "Plan for revision main@sha1:1: 1 to create, 2 to change, 1 to delete, 2 unchanged; nothing was applied"
	if described := describePlan(got); described != text {
		t.Errorf("described as %q, want %q", described, text)
	}
}

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
