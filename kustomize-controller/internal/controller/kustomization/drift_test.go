// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

func driftMode(mode meta.DriftMode) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Weir = &kustomizev1.WeirSpec{DriftDetection: &kustomizev1.DriftDetection{Mode: mode}}
	}
}

func drifted(k *kustomizev1.Kustomization) string {
	if conditions.GetReason(k, kustomizev1.DriftedCondition) != kustomizev1.DriftDetectedReason || !conditions.IsTrue(k, kustomizev1.DriftedCondition) {
		return ""
	}
	return conditions.GetMessage(k, kustomizev1.DriftedCondition)
}

func (s *suite) awaitDrift(name, message string) *kustomizev1.Kustomization {
	s.Helper()
	return s.await(name, "shows drift: "+message, func(k *kustomizev1.Kustomization) bool { return drifted(k) == message })
}

const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: $NS}\nstringData: {password: hunter2}\n"

func TestDriftIsShownAndLeft(t *testing.T) {
	s := newSuite(t)
	files := map[string]string{"a.yaml": configMap("a", "git"), "b.yaml": configMap("b", "git"), "s.yaml": secret}
	revision := s.push(files)
	s.create("app", driftMode(meta.DriftWarn), func(k *kustomizev1.Kustomization) { k.Spec.Wait = true })
	s.awaitReady("app", revision)

	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	first := "ConfigMap/" + s.ns + "/a differs: data.key"
	obj := s.awaitDrift("app", first)
	want := &meta.ObjectChanges{Changes: []meta.ObjectChange{{ID: s.ns + "_a__ConfigMap", Action: "configured", Paths: []string{"data.key"}}}}
	if diff := cmp.Diff(want, obj.Status.Weir.Drift); diff != "" {
		t.Errorf("status.weir.drift (-want +got):\n%s", diff)
	}
	if !conditions.IsReady(obj) {
		t.Errorf("not ready: %+v", obj.Status.Conditions)
	}
	s.patch("kubectl-edit", "v1/Secret", "s", "data: {password: ZWxzZQ==}")
	s.must(kube.Delete(t.Context(), s.live("v1/ConfigMap", "b")))
	all := first + "; ConfigMap/" + s.ns + "/b is gone; Secret/" + s.ns + "/s differs: data.password"
	obj = s.awaitDrift("app", all)
	if got := len(obj.Status.Weir.Drift.Changes); got != 3 {
		t.Errorf("status.weir.drift has %d changes, want 3", got)
	}
	if text, err := yaml.Marshal(obj.Status); err != nil || strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "by hand") {
		t.Errorf("%v, values in the status:\n%s", err, text)
	}
	if field(s.live("v1/ConfigMap", "a"), "data", "key") != "by hand" || s.live("v1/ConfigMap", "b") != nil {
		t.Error("drift was put back")
	}
	s.eventually("events tell of both summaries", func() bool {
		events := s.events("app")
		return slicesContains(events, first) && slicesContains(events, all)
	})

	// A restart is no new revision: it changes nothing, and tells nothing anew.
	told := strings.Count(strings.Join(s.events("app"), "\n"), all)
	controller.stop(t)
	controller = startShared()
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: again}")
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {more: again}")
	s.awaitDrift("app", strings.Replace(all, "data.key", "data.key, data.more", 1))
	if field(s.live("v1/ConfigMap", "a"), "data", "key") != "again" || s.live("v1/ConfigMap", "b") != nil {
		t.Error("drift was put back by a restart")
	}
	if again := strings.Count(strings.Join(s.events("app"), "\n"), all); again != told {
		t.Errorf("events told of it %d times before a restart, and %d times after it", told, again)
	}

	// Put back by hand.
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: git, more: null}")
	s.awaitDrift("app", strings.TrimPrefix(all, first+"; "))

	// Put back because somebody asks for it.
	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	obj = s.await("app", "has no drift", func(k *kustomizev1.Kustomization) bool {
		return k.Status.LastHandledReconcileAt == "now" && conditions.Get(k, kustomizev1.DriftedCondition) == nil
	})
	if s.live("v1/ConfigMap", "b") == nil || obj.Status.Weir != nil && obj.Status.Weir.Drift != nil {
		t.Errorf("after a request: status %+v", obj.Status.Weir)
	}

	// And so does a new revision.
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	s.awaitDrift("app", first)
	files["c.yaml"] = configMap("c", "git")
	obj = s.awaitReady("app", s.push(files))
	if conditions.Get(obj, kustomizev1.DriftedCondition) != nil || field(s.live("v1/ConfigMap", "a"), "data", "key") != "git" {
		t.Errorf("after a new revision: %+v", obj.Status.Conditions)
	}
}

func TestDriftIsNotLookedFor(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "git"), "b.yaml": configMap("b", "git")})
	s.create("app", driftMode(meta.DriftDisabled), func(k *kustomizev1.Kustomization) {
		k.Spec.Wait = true
	})
	s.awaitReady("app", revision)
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	version := s.live("v1/ConfigMap", "a").GetResourceVersion()

	// What happens to b shows that events of a have been looked at.
	s.must(kube.Delete(t.Context(), s.live("v1/ConfigMap", "b")))
	s.await("app", "sees that b is gone", func(k *kustomizev1.Kustomization) bool {
		return conditions.IsFalse(k, fluxmeta.HealthyCondition)
	})
	obj := s.get("app")
	if live := s.live("v1/ConfigMap", "a"); live.GetResourceVersion() != version || s.live("v1/ConfigMap", "b") != nil {
		t.Error("drift was put back")
	}
	if conditions.Get(obj, kustomizev1.DriftedCondition) != nil {
		t.Errorf("drift is shown: %+v", obj.Status.Conditions)
	}

	s.edit("app", driftMode(meta.DriftEnabled))
	s.eventually("drift is put back once that is asked for", func() bool {
		return field(s.live("v1/ConfigMap", "a"), "data", "key") == "git" && s.live("v1/ConfigMap", "b") != nil
	})
}
