// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

func ignore(target *meta.Selector, paths ...string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Ignore = []meta.IgnoreRule{{Paths: paths, Target: target}}
	}
}

func TestIgnoredFieldIsLeftToOthers(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "git"), "b.yaml": configMap("b", "git")})
	s.create("app", ignore(&meta.Selector{Kind: "ConfigMap", Name: "a"}, "/data/key"))
	s.awaitReady("app", revision)
	if got := field(s.live("v1/ConfigMap", "a"), "data", "key"); got != "git" {
		t.Errorf("key = %q in a new object, want what Git has", got)
	}
	s.patch("operator", "v1/ConfigMap", "a", "data: {key: theirs}")
	s.patch("operator", "v1/ConfigMap", "b", "data: {key: theirs}")
	s.eventually("what is not ignored is put back", func() bool { return field(s.live("v1/ConfigMap", "b"), "data", "key") == "git" })

	s.awaitReady("app", s.push(map[string]string{
		"a.yaml": strings.Replace(configMap("a", "git"), `"git"`, `"git", more: line`, 1), "b.yaml": configMap("b", "git"),
	}))
	if live := s.live("v1/ConfigMap", "a"); field(live, "data", "key") != "theirs" || field(live, "data", "more") != "line" {
		t.Errorf("data = %v, want the new line and the others' key", live.Object["data"])
	}

	// The rule goes without a new revision, and what Git has counts again.
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Ignore = nil })
	s.eventually("the field is put back", func() bool { return field(s.live("v1/ConfigMap", "a"), "data", "key") == "git" })
}

func TestIgnoredFieldIsNotPlanned(t *testing.T) {
	s := newSuite(t)
	s.push(map[string]string{"a.yaml": configMap("a", "git")})
	live := newObject("v1/ConfigMap")
	live.SetNamespace(s.ns)
	live.SetName("a")
	live.Object["data"] = map[string]any{"key": "theirs"}
	s.must(kube.Create(t.Context(), live))
	s.create("app", ignore(nil, "/data/key"), func(k *kustomizev1.Kustomization) {
		k.Spec.Weir = &kustomizev1.WeirSpec{Mode: meta.ModePlan}
	})
	obj := s.await("app", "has a plan", func(k *kustomizev1.Kustomization) bool { return k.Status.Weir != nil && k.Status.Weir.Plan != nil })
	want := []meta.ObjectChange{{ID: s.ns + "_a__ConfigMap", Action: "configured", Paths: []string{
		`metadata.labels["kustomize.toolkit.fluxcd.io/name"]`, `metadata.labels["kustomize.toolkit.fluxcd.io/namespace"]`,
	}}}
	if diff := cmp.Diff(want, obj.Status.Weir.Plan.Changes); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestBadIgnoreRuleStalls(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*kustomizev1.Kustomization)
		want   string
	}{
		"pointer":  {ignore(nil, "/data/key", "data.key"), `spec.ignore[0].paths[1]: "data.key" is not a JSON pointer: it has to begin with a slash`},
		"pattern":  {ignore(&meta.Selector{Kind: "("}, "/data/key"), "spec.ignore[0].target.kind: not a regular expression: error parsing regexp: missing closing ): `(`"},
		"selector": {ignore(&meta.Selector{LabelSelector: "a in"}, "/data/key"), "spec.ignore[0].target.labelSelector: not a selector: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			revision := s.push(map[string]string{"a.yaml": configMap("a", "git")})
			s.create("app", tc.change)
			message := s.awaitFailure("app", kustomizev1.InvalidIgnoreRuleReason)
			if !slicesContains([]string{message}, tc.want) {
				t.Errorf("message %q, want %q", message, tc.want)
			}
			if !conditions.IsStalled(s.get("app")) {
				t.Error("not Stalled")
			}
			s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Ignore = nil })
			s.awaitReady("app", revision)
		})
	}
}
