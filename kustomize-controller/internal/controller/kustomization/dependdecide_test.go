// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/cel"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

// noClients is a controller that cannot send a request: it would panic.
func noClients(t *testing.T) *Controller {
	t.Helper()
	return &Controller{
		Lookout: watch.NewLookout(t.Context(), nil, nil, logr.Discard(), func(types.NamespacedName, time.Duration) {}),
		Options: Options{RequeueDependency: time.Minute},
	}
}

func TestDependenciesAreAskedOncePerAttempt(t *testing.T) {
	withDependency := func(s *scope) {
		s.obj.Spec.Weir = &kustomizev1.WeirSpec{DependsOn: []kustomizev1.ObjectDependency{{APIVersion: "v1", Kind: "ConfigMap", Name: "x"}}}
	}
	for name, tc := range map[string]struct {
		change func(*scope)
		asks   bool
	}{
		"none":              {func(s *scope) { *s.memory = memory{} }, false},
		"were ready before": {func(s *scope) { withDependency(s); s.memory.cleared = attempt{generation: 1, digest: "sha256:1"} }, false},
		"new revision":      {func(s *scope) { withDependency(s); s.artifact.Digest, s.artifact.Revision = "sha256:2", "main@sha1:2" }, true},
		"new spec":          {func(s *scope) { withDependency(s); s.obj.Generation = 2 }, true},
		"restart":           {func(s *scope) { withDependency(s); *s.memory = memory{} }, false},
		"restart, ill since": {func(s *scope) {
			withDependency(s)
			*s.memory = memory{}
			conditions.MarkFalse(s.obj, "Ready", "x", "y")
		}, false},
		"restart, stalled":        {func(s *scope) { withDependency(s); *s.memory = memory{}; conditions.MarkStalled(s.obj, "x", "y") }, true},
		"restart, other revision": {func(s *scope) { withDependency(s); *s.memory = memory{}; s.artifact.Revision = "main@sha1:2" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			s.obj.Generation = 1
			tc.change(s)
			asked := func() (asked bool) {
				defer func() { asked = recover() != nil }()
				if err := noClients(t).checkDependencies(t.Context(), s); err != nil {
					t.Errorf("error %v", err)
				}
				return false
			}()
			if asked != tc.asks {
				t.Errorf("asks the API server: %t, want %t", asked, tc.asks)
			}
			want := attempt{generation: s.obj.Generation, digest: s.artifact.Digest}
			if !asked && s.memory.cleared != want {
				t.Errorf("cleared %+v, want %+v", s.memory.cleared, want)
			}
		})
	}
}

func TestCheckKustomization(t *testing.T) {
	for name, tc := range map[string]struct {
		ready, additive bool
		expr            string
		want            string // in the error; "" for none
	}{
		"ready":                        {ready: true},
		"not ready":                    {want: ": BuildFailed"},
		"expression true":              {expr: "dep.kind == 'Kustomization' && self.metadata.name == 'app'"},
		"expression false":             {ready: true, expr: "dep.metadata.name == 'x'", want: " according to readyExpr eval"},
		"expression fails":             {ready: true, expr: "dep.spec.none == 1", want: ": spec.dependsOn[0].readyExpr: 1:9: no such key: none"},
		"both, both true":              {ready: true, additive: true, expr: "true"},
		"both, only ready":             {ready: true, additive: true, expr: "false", want: " according to readyExpr eval"},
		"both, only the expression":    {additive: true, expr: "true", want: ": BuildFailed"},
		"both asked for, but only one": {ready: true, additive: true},
	} {
		t.Run(name, func(t *testing.T) {
			dep := held(time.Now()).obj
			if !tc.ready {
				conditions.MarkFalse(dep, kustomizev1.ReadyCondition, "BuildFailed", "x")
			}
			s := held(time.Now())
			s.obj.Name = "app"
			s.obj.Spec.DependsOn = []meta.DependencyReference{{Name: "dep", ReadyExpr: tc.expr}}
			if err := s.compileDependencies(); err != nil {
				t.Fatal(err)
			}
			c := noClients(t)
			c.Options.AdditiveDependencyCheck = tc.additive
			err := c.checkKustomization(t.Context(), s, dep, s.memory.expressions.kustomizations[0])
			if got := text(err); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCompileDependenciesOncePerGeneration(t *testing.T) {
	s := held(time.Now())
	s.obj.Spec.DependsOn = []meta.DependencyReference{{Name: "a"}, {Name: "b", ReadyExpr: "true"}}
	if err := s.compileDependencies(); err != nil {
		t.Fatal(err)
	}
	first := s.memory.expressions
	if first.kustomizations[0] != nil || first.kustomizations[1].String() != "true" {
		t.Errorf("compiled %v", first.kustomizations)
	}
	if err := s.compileDependencies(); err != nil || s.memory.expressions != first {
		t.Errorf("compiled anew, %v", err)
	}
	s.obj.Generation++
	s.obj.Spec.DependsOn[1].ReadyExpr = "no("
	e, ok := errors.AsType[*cel.Error](s.compileDependencies())
	if !ok || e.Field != "spec.dependsOn[1].readyExpr" {
		t.Errorf("error %v, want one that names the field", e)
	}
}

func TestWaitNamesTheFirstFive(t *testing.T) {
	c := noClients(t)
	var waiting []error
	for name := range strings.SplitSeq("abcdefg", "") {
		waiting = append(waiting, errors.New(name))
	}
	expect(t, c.wait(waiting[:5]), reconcile.KindWaiting, time.Minute, "a; b; c; d; e")
	err := c.wait(waiting)
	expect(t, err, reconcile.KindWaiting, time.Minute, "a; b; c; d; e; and 2 more")
	if waiting[5].Error() != "f" {
		t.Error("the errors were changed")
	}
}

func TestKustomizationsOf(t *testing.T) {
	obj := held(time.Now()).obj
	obj.Namespace = "ns"
	obj.Spec.DependsOn = []meta.DependencyReference{{Name: "a"}, {Name: "b", Namespace: "other"}}
	obj.Spec.Weir = &kustomizev1.WeirSpec{DependsOn: []kustomizev1.ObjectDependency{
		{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Name: "c"},
		{APIVersion: "kustomize.toolkit.fluxcd.io/v1beta2", Kind: "Kustomization", Name: "d", Namespace: "other"},
		{APIVersion: "batch/v1", Kind: "Job", Name: "e"},
		{APIVersion: "example.com/v1", Kind: "Kustomization", Name: "f"},
	}}
	want := []types.NamespacedName{{Namespace: "ns", Name: "a"}, {Namespace: "other", Name: "b"}, {Namespace: "ns", Name: "c"}, {Namespace: "other", Name: "d"}}
	if diff := cmp.Diff(want, kustomizationsOf(obj)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLatestRecord(t *testing.T) {
	at := func(minute int) metav1.Time { return metav1.Date(2026, 11, 1, 0, minute, 0, 0, time.UTC) }
	owner := func(remote bool, jobs ...kustomizev1.CompletedJob) kustomizev1.Kustomization {
		k := kustomizev1.Kustomization{Status: kustomizev1.KustomizationStatus{Weir: &kustomizev1.WeirStatus{CompletedJobs: jobs}}}
		if remote {
			k.Spec.KubeConfig = &meta.KubeConfigReference{}
		}
		return k
	}
	old := kustomizev1.CompletedJob{ID: "ns_a_batch_Job", FinishedAt: at(1)}
	recent := kustomizev1.CompletedJob{ID: "ns_a_batch_Job", FinishedAt: at(2), Succeeded: true}
	other := kustomizev1.CompletedJob{ID: "ns_b_batch_Job", FinishedAt: at(3), Succeeded: true}
	for name, tc := range map[string]struct {
		all  []kustomizev1.Kustomization
		want *kustomizev1.CompletedJob
	}{
		"nobody":            {nil, nil},
		"no status":         {[]kustomizev1.Kustomization{{}}, nil},
		"another Job":       {[]kustomizev1.Kustomization{owner(false, other)}, nil},
		"the latest":        {[]kustomizev1.Kustomization{owner(false, recent, other), owner(false, old)}, &recent},
		"the latest, later": {[]kustomizev1.Kustomization{owner(false, old), {}, owner(false, other, recent)}, &recent},
		"another cluster":   {[]kustomizev1.Kustomization{owner(true, recent), owner(false, old)}, &old},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, latestRecord(tc.all, "ns_a_batch_Job")); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCrossNamespace(t *testing.T) {
	obj := held(time.Now()).obj
	obj.Namespace = "ns"
	obj.Spec.SourceRef.Namespace = ""
	obj.Spec.Weir = &kustomizev1.WeirSpec{DependsOn: []kustomizev1.ObjectDependency{
		{Kind: "Job", Name: "a"}, {Kind: "Job", Name: "b", Namespace: "ns"}, {Kind: "Job", Name: "c", Namespace: "other"},
	}}
	const want = "spec.weir.dependsOn names Job/other/c, and references to other namespaces are forbidden here"
	if got := text(crossNamespace(obj)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTurnedReady(t *testing.T) {
	ready := held(time.Now()).obj
	conditions.MarkTrue(ready, kustomizev1.ReadyCondition, "x", "y")
	changed := func(change func(*kustomizev1.Kustomization)) *kustomizev1.Kustomization {
		obj := ready.DeepCopy()
		change(obj)
		return obj
	}
	unready := changed(func(k *kustomizev1.Kustomization) { conditions.MarkFalse(k, kustomizev1.ReadyCondition, "x", "y") })
	for name, tc := range map[string]struct {
		before, after *kustomizev1.Kustomization
		want          bool
	}{
		"as before":    {ready, ready, false},
		"turns ready":  {unready, ready, true},
		"falls ill":    {ready, unready, false},
		"stays ill":    {unready, unready, false},
		"new revision": {ready, changed(func(k *kustomizev1.Kustomization) { k.Status.LastAppliedRevision = "other" }), true},
		"new spec":     {ready, changed(func(k *kustomizev1.Kustomization) { k.Status.ObservedGeneration++ }), true},
		"new label":    {ready, changed(func(k *kustomizev1.Kustomization) { k.Labels = map[string]string{"a": "b"} }), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := turnedReady(tc.before, tc.after); got != tc.want {
				t.Errorf("%t, want %t", got, tc.want)
			}
		})
	}
}
