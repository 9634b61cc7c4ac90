// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
)

func driftMode(mode meta.DriftMode, ignored ...string) func(*helmv2.HelmRelease) {
	return func(r *helmv2.HelmRelease) {
		r.Spec.DriftDetection = &helmv2.DriftDetection{Mode: mode}
		if len(ignored) > 0 {
			r.Spec.DriftDetection.Ignore = []meta.IgnoreRule{{Paths: ignored}}
		}
	}
}

func TestDriftIsCorrected(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web", driftMode(meta.DriftEnabled))
	s.awaitReady("web", 1)
	s.await("web", "is watched", func(r *helmv2.HelmRelease) bool {
		return conditions.GetReason(r, helmv2.DriftedCondition) == helmv2.NoDriftDetectedReason
	})
	began := time.Now()
	s.setValue("web-config", "by hand")
	s.eventually("the change is put back", func() bool { return s.value("web-config") == "hello" })
	t.Logf("put back after %s", time.Since(began).Round(time.Millisecond))
	s.tells("web", "DriftCorrected: Cluster state of release "+s.ns+"/web.v1 has been corrected:\nConfigMap/"+s.ns+"/web-config was changed; put back: .data.value set by kubectl-edit")
	s.must(kube.Delete(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "web-config"}}))
	s.eventually("the object is there again", func() bool { return s.exists("v1/ConfigMap", "web-config") })
	if obj := s.get("web"); obj.Status.History[0].Version != 1 || s.releases("web") != 1 {
		t.Errorf("a correction made a revision\n%s", statusText(obj))
	}
}

func TestDriftIsShown(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web", driftMode(meta.DriftWarn))
	s.awaitReady("web", 1)
	s.await("web", "is watched", func(r *helmv2.HelmRelease) bool { return conditions.IsFalse(r, helmv2.DriftedCondition) })
	s.setValue("web-config", "by hand")
	obj := s.await("web", "shows drift", func(r *helmv2.HelmRelease) bool { return conditions.IsTrue(r, helmv2.DriftedCondition) })
	s.wants(conditions.GetMessage(obj, helmv2.DriftedCondition), "ConfigMap/"+s.ns+"/web-config differs: data.value")
	if !conditions.IsReady(obj) || obj.Status.Weir == nil || obj.Status.Weir.Drift == nil || len(obj.Status.Weir.Drift.Changes) != 1 {
		t.Errorf("status\n%s", statusText(obj))
	}
	if strings.Contains(statusText(obj), "by hand") {
		t.Errorf("the status has values\n%s", statusText(obj))
	}
	s.tells("web", "DriftDetected: Cluster state of release "+s.ns+"/web.v1 has drifted from the desired state")
	s.edit("web", driftMode(meta.DriftWarn, "/data/value"))
	s.await("web", "ignores it", func(r *helmv2.HelmRelease) bool { return conditions.IsFalse(r, helmv2.DriftedCondition) })
	s.edit("web", driftMode(meta.DriftDisabled))
	s.await("web", "is not watched", func(r *helmv2.HelmRelease) bool { return !conditions.Has(r, helmv2.DriftedCondition) })
}

func TestPlanWritesNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	plan := func(mode meta.Mode) func(*helmv2.HelmRelease) {
		return func(r *helmv2.HelmRelease) { r.Spec.Weir = &helmv2.WeirSpec{Mode: mode} }
	}
	s.create("web", plan(meta.ModePlan))
	planned := func(text string) *helmv2.HelmRelease {
		t.Helper()
		return s.await("web", "is planned: "+text, func(r *helmv2.HelmRelease) bool {
			return conditions.GetReason(r, "Ready") == helmv2.PlannedReason && strings.Contains(ready(r), text)
		})
	}
	obj := planned("1 to create, 0 to change, 0 to delete, 0 unchanged; nothing was applied")
	if s.exists("v1/ConfigMap", "web-config") || s.releases("web") > 0 || len(obj.Status.History) > 0 {
		t.Error("something was written")
	}
	s.edit("web", plan(meta.ModeApply))
	s.awaitReady("web", 1)
	version := s.live("v1/ConfigMap", "web-config").GetResourceVersion()
	s.edit("web", plan(meta.ModePlan))
	s.edit("web", values("message: planned-value"))
	obj = planned("0 to create, 1 to change, 0 to delete")
	if changes := obj.Status.Weir.Plan.Changes; len(changes) != 1 || len(changes[0].Paths) != 1 || changes[0].Paths[0] != "data.value" {
		t.Errorf("plan %+v", changes)
	}
	if strings.Contains(statusText(obj), "planned-value") {
		t.Errorf("the status has values\n%s", statusText(obj))
	}
	if v := s.live("v1/ConfigMap", "web-config").GetResourceVersion(); v != version || s.releases("web") != 1 {
		t.Error("something was written")
	}
	s.delete("web")
	if !s.exists("v1/ConfigMap", "web-config") || s.releases("web") != 1 {
		t.Error("deleting a planned HelmRelease uninstalled the release")
	}
}

// A chart may bring the definitions of its own objects.
func TestPlanOfAChartWithDefinitions(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0").CRD(s.ns+".example.com", "Gadget").
		With("templates/gadget.yaml", "apiVersion: "+s.ns+".example.com/v1\nkind: Gadget\nmetadata: {name: one}\n"))
	mode := func(mode meta.Mode) func(*helmv2.HelmRelease) {
		return func(r *helmv2.HelmRelease) { r.Spec.Weir = &helmv2.WeirSpec{Mode: mode} }
	}
	planned := func(text string) *helmv2.HelmRelease {
		t.Helper()
		return s.await("web", "is planned: "+text, func(r *helmv2.HelmRelease) bool {
			return conditions.GetReason(r, "Ready") == helmv2.PlannedReason && strings.Contains(ready(r), text)
		})
	}
	s.create("web", mode(meta.ModePlan))
	obj := planned("3 to create, 0 to change, 0 to delete")
	if text := statusText(obj); !strings.Contains(text, "_gadgets."+s.ns+".example.com_apiextensions.k8s.io_CustomResourceDefinition") {
		t.Errorf("the plan leaves the definition out\n%s", text)
	}
	s.edit("web", mode(meta.ModeApply))
	s.awaitReady("web", 1)
	s.edit("web", mode(meta.ModePlan))
	planned("0 to create, 0 to change, 0 to delete, 2 unchanged")
}
