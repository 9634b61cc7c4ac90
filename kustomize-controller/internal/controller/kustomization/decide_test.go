// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
)

const interval = 10 * time.Minute

// held returns a scope whose Kustomization was applied a minute ago and is
// ready. Nothing in it needs a cluster.
func held(now time.Time) *scope {
	s := &scope{
		now:      now,
		artifact: &fluxmeta.Artifact{Digest: "sha256:1", Revision: "main@sha1:1"},
		obj: &kustomizev1.Kustomization{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", Generation: 1},
			Spec: kustomizev1.KustomizationSpec{
				Interval:  metav1.Duration{Duration: interval},
				SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "repo"},
			},
			Status: kustomizev1.KustomizationStatus{ObservedGeneration: 1, LastAppliedRevision: "main@sha1:1"},
		},
	}
	conditions.MarkTrue(s.obj, kustomizev1.ReadyCondition, kustomizev1.ReconciliationSucceededReason, "applied")
	applied := attempt{generation: 1, digest: "sha256:1"}
	s.memory = &memory{tried: applied, applied: applied, nextFull: now.Add(interval - time.Minute), wasHealthy: true}
	return s
}

func TestDecide(t *testing.T) {
	now := time.Now()
	failure := errors.New("what it failed with")
	failed := func(s *scope) {
		s.memory.failure, s.memory.retryAt = failure, now.Add(time.Minute)
		s.memory.tried.digest, s.artifact.Digest = "sha256:2", "sha256:2"
	}
	request := func(value string) func(*scope) {
		return func(s *scope) { s.obj.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: value} }
	}
	for name, tc := range map[string]struct {
		change []func(*scope)
		full   bool
		err    error
		// begun says that the interval begins anew.
		begun bool
	}{
		"nothing new":  {},
		"new revision": {change: []func(*scope){func(s *scope) { s.artifact.Digest = "sha256:2" }}, full: true, begun: true},
		"same content, other revision": {
			change: []func(*scope){func(s *scope) { s.artifact.Revision = "main@sha1:2" }},
		},
		"new spec":             {change: []func(*scope){func(s *scope) { s.obj.Generation = 2 }}, full: true, begun: true},
		"asked":                {change: []func(*scope){request("now")}, full: true, begun: true},
		"asked before":         {change: []func(*scope){request("now"), func(s *scope) { s.memory.requestedAt = "now" }}},
		"asked before restart": {change: []func(*scope){request("now"), func(s *scope) { s.obj.Status.LastHandledReconcileAt = "now" }}},
		"interval is over, nothing to build": {
			change: []func(*scope){func(s *scope) { s.memory.nextFull = now }}, begun: true,
		},
		"interval is over, new variables": {
			change: []func(*scope){func(s *scope) {
				s.memory.nextFull = now
				s.obj.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"a": "b"}}
			}}, full: true, begun: true,
		},
		"state not at hand":         {change: []func(*scope){func(s *scope) { s.drift.Stale = true }}, full: true, begun: true},
		"after a restart":           {change: []func(*scope){func(s *scope) { *s.memory = memory{} }}, full: true, begun: true},
		"failed":                    {change: []func(*scope){failed}, err: failure},
		"failed, time to try again": {change: []func(*scope){failed, func(s *scope) { s.memory.retryAt = now }}, full: true, begun: true},
		"failed, new revision":      {change: []func(*scope){failed, func(s *scope) { s.artifact.Digest = "sha256:3" }}, full: true, begun: true},
		"failed, asked":             {change: []func(*scope){failed, request("now")}, full: true, begun: true},
		"failed, interval is over":  {change: []func(*scope){failed, func(s *scope) { s.memory.nextFull = now }}, err: failure},
		"status edited": {
			change: []func(*scope){func(s *scope) { s.memory.inventory = &meta.ResourceInventory{} }}, full: true, begun: true,
		},
		"status as written": {
			change: []func(*scope){func(s *scope) {
				s.memory.inventory, s.obj.Status.Inventory = &meta.ResourceInventory{}, &meta.ResourceInventory{}
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(now)
			for _, change := range tc.change {
				change(s)
			}
			c := &Controller{Options: Options{Jitter: func(d time.Duration) time.Duration { return d + time.Second }}}
			if err := c.decide(t.Context(), s); !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if s.full != tc.full {
				t.Errorf("full = %t, want %t", s.full, tc.full)
			}
			if begun := s.memory.nextFull.Equal(now.Add(interval + time.Second)); begun != tc.begun {
				t.Errorf("the interval begins anew: %t, want %t", begun, tc.begun)
			}
		})
	}
}

// What was healthy stays so over a restart, and becomes so anew with whatever
// is applied.
func TestDecideKnowsWhatHeldBefore(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		change func(*scope)
		want   bool
	}{
		"nothing new":                {func(*scope) {}, true},
		"new revision":               {func(s *scope) { s.artifact.Digest, s.artifact.Revision = "sha256:2", "main@sha1:2" }, false},
		"restart":                    {func(s *scope) { *s.memory = memory{} }, true},
		"restart, new revision":      {func(s *scope) { *s.memory, s.artifact.Revision = memory{}, "main@sha1:2" }, false},
		"restart, new spec":          {func(s *scope) { *s.memory, s.obj.Generation = memory{}, 2 }, false},
		"restart, was not ready":     {func(s *scope) { *s.memory = memory{}; conditions.MarkFalse(s.obj, fluxmeta.ReadyCondition, "x", "y") }, false},
		"asked for what is there":    {func(s *scope) { s.drift.Stale = true }, true},
		"asked, and was not healthy": {func(s *scope) { s.drift.Stale, s.memory.wasHealthy = true, false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(now)
			tc.change(s)
			c := &Controller{Options: Options{Jitter: func(d time.Duration) time.Duration { return d }}}
			if err := c.decide(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if s.memory.wasHealthy != tc.want {
				t.Errorf("counts as once healthy: %t, want %t", s.memory.wasHealthy, tc.want)
			}
		})
	}
}

// A revision is skipped only if nothing but the artifact is new, and what was
// tried before it was applied in full.
func TestOnlyRevision(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		change func(*scope)
		want   bool
	}{
		"new revision":  {func(*scope) {}, true},
		"not healthy":   {func(s *scope) { s.memory.wasHealthy = false }, true},
		"interval over": {func(s *scope) { s.memory.nextFull = now }, true},
		"no revision":   {func(s *scope) { s.artifact.Digest = "sha256:1" }, false},
		"asked": {func(s *scope) {
			s.obj.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
		}, false},
		"new spec":                     {func(s *scope) { s.obj.Generation = 2 }, false},
		"after a restart":              {func(s *scope) { *s.memory = memory{} }, false},
		"nothing known of its build":   {func(s *scope) { s.memory.reads = nil }, false},
		"state not at hand":            {func(s *scope) { s.drift.Stale = true }, false},
		"the last one failed":          {func(s *scope) { s.memory.failure = errors.New("x") }, false},
		"the last one was not written": {func(s *scope) { s.memory.tried.digest = "sha256:1.5" }, false},
		"the status was edited":        {func(s *scope) { s.memory.inventory = &meta.ResourceInventory{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(now)
			s.artifact.Digest, s.memory.reads = "sha256:2", &build.Reads{}
			tc.change(s)
			if got := s.onlyRevision(); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestReadBudget(t *testing.T) {
	b := readBudget{used: maxReadBytes - 100}
	small := &build.Reads{}
	if b.replace(nil, small) != small || b.used != maxReadBytes-100+small.Size() {
		t.Errorf("there is room, and %d are used", b.used)
	}
	if b.replace(nil, small) != nil || b.used != maxReadBytes-100+small.Size() {
		t.Errorf("there is no room, and %d are used", b.used)
	}
	if b.replace(small, small) != small {
		t.Error("one makes room for the other")
	}
	if b.replace(small, nil); b.used != maxReadBytes-100 {
		t.Errorf("%d are used", b.used)
	}
}
