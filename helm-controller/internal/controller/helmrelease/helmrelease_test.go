// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"testing"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
)

func TestInstallsUpgradesAndUninstalls(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web")
	obj := s.awaitReady("web", 1)
	if got, want := ready(obj), "Helm install succeeded for release "+s.ns+"/web.v1 with chart app@1.0.0"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if got := s.value("web-config"); got != "hello" {
		t.Errorf("value %q", got)
	}
	want := []meta.ResourceRef{{ID: s.ns + "_web-config__ConfigMap", Version: "v1"}}
	if diff := cmp.Diff(want, obj.Status.Inventory.Entries); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	status := obj.Status
	if status.LastAttemptedRevision != "1.0.0" || status.LastAttemptedReleaseAction != helmv2.ReleaseActionInstall || status.LastAttemptedGeneration != obj.Generation ||
		status.HelmChart != s.ns+"/"+s.ns+"-web" || status.StorageNamespace != s.ns || status.Failures != 0 {
		t.Errorf("status\n%s", statusText(obj))
	}
	if conditions.Has(obj, "Reconciling") || conditions.Has(obj, "Stalled") || !conditions.IsTrue(obj, helmv2.ReleasedCondition) {
		t.Errorf("conditions\n%s", statusText(obj))
	}
	s.tells("web", "HelmChartCreated: HelmChart/"+s.ns+"/"+s.ns+"-web created with SourceRef 'HelmRepository/"+s.ns+"/repo'")
	s.tells("web", "InstallSucceeded: Helm install succeeded for release "+s.ns+"/web.v1")

	s.publish(appChart("1.1.0"))
	if obj = s.awaitReady("web", 2); obj.Status.LastAttemptedReleaseAction != helmv2.ReleaseActionUpgrade {
		t.Errorf("status\n%s", statusText(obj))
	}
	if got := s.deliveries(); got != 1 {
		t.Errorf("%d deliveries of a new chart were measured, want 1", got)
	}
	s.edit("web", values("message: changed"))
	s.awaitReady("web", 3)
	if got := s.deliveries(); got != 1 {
		t.Errorf("%d deliveries were measured after new values of the same chart, want 1", got)
	}
	if got := s.value("web-config"); got != "changed" {
		t.Errorf("value %q", got)
	}

	s.delete("web")
	if s.exists("v1/ConfigMap", "web-config") || s.releases("web") > 0 {
		t.Error("the release is still there")
	}
	s.eventually("the HelmChart is gone", func() bool { return !s.exists("source.toolkit.fluxcd.io/v1/HelmChart", s.ns+"-web") })
}

// deliveries is how many deliveries of the suite's namespace were measured.
func (s *suite) deliveries() (count uint64) {
	s.Helper()
	families, err := ctrlmetrics.Registry.Gather()
	s.must(err)
	for _, family := range families {
		if family.GetName() != "weir_delivery_seconds" {
			continue
		}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				if label.GetName() == "namespace" && label.GetValue() == s.ns {
					count += series.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	return count
}
