// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2_test

import (
	"testing"
	"time"

	fluxv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/internal/compat"
)

func TestRoundTrip(t *testing.T) {
	compat.RoundTrip(t, func(ours *helmv2.HelmRelease) { ours.Spec.Weir, ours.Status.Weir = nil, nil }, compareAccessors)
}

// defaults are what follows from a spec.
type defaults struct {
	Timeout, Interval, Template                time.Duration
	Install, Upgrade, Test, Rollback, Shutdown time.Duration
	MaxHistory                                 int
	Name, Namespace, Storage                   string
	Propagation, NameChange, Remedy            string
	Kind, SourceNamespace, SourceName          string
}

// compareAccessors checks that what follows from a spec by default follows from it in Flux too.
func compareAccessors(t *testing.T, flux *fluxv2.HelmRelease, ours *helmv2.HelmRelease) {
	t.Helper()
	base := flux.GetTimeout()
	of := func(d metav1.Duration) time.Duration { return d.Duration }
	want := defaults{
		Timeout: of(base), Interval: flux.GetRequeueAfter(), Template: of(flux.GetTemplateInterval()),
		Install: of(flux.GetInstall().GetTimeout(base)), Upgrade: of(flux.GetUpgrade().GetTimeout(base)), Test: of(flux.GetTest().GetTimeout(base)),
		Rollback: of(flux.GetRollback().GetTimeout(base)), Shutdown: of(flux.GetUninstall().GetTimeout(base)), MaxHistory: flux.GetMaxHistory(),
		Name: helmv2.ShortenReleaseName(flux.GetReleaseName()), Namespace: flux.GetReleaseNamespace(), Storage: flux.GetStorageNamespace(),
		Propagation: flux.GetUninstall().GetDeletionPropagation(), NameChange: string(flux.GetUpgrade().GetChartNameChangeStrategy()),
		Remedy: string(flux.GetUpgrade().GetRemediation().GetStrategy()),
	}
	ref := flux.GetHelmChartReference()
	if ref == nil {
		ref = flux.GetHelmChartTemplateReference()
	}
	if ref != nil {
		want.Kind, want.SourceNamespace, want.SourceName = ref.Kind, ref.Namespace, ref.Name
	}
	source := ours.GetChartReference()
	remediation := helmv2.UpgradeRemediation{}
	if r := ours.GetUpgrade().Remediation; r != nil {
		remediation = *r
	}
	timeout := ours.GetTimeout()
	got := defaults{
		Timeout: timeout, Interval: ours.GetRequeueAfter(), Template: of(ours.GetTemplateInterval()),
		Install: ours.GetInstall().GetTimeout(timeout), Upgrade: ours.GetUpgrade().GetTimeout(timeout), Test: ours.GetTest().GetTimeout(timeout),
		Rollback: ours.GetRollback().GetTimeout(timeout), Shutdown: ours.GetUninstall().GetTimeout(timeout), MaxHistory: ours.GetMaxHistory(),
		Name: ours.GetReleaseName(), Namespace: ours.GetReleaseNamespace(), Storage: ours.GetStorageNamespace(),
		Propagation: ours.GetUninstall().GetDeletionPropagation(), NameChange: string(ours.GetUpgrade().GetChartNameChangeStrategy()),
		Remedy: string(remediation.GetStrategy()), Kind: source.Kind, SourceNamespace: source.Namespace, SourceName: source.Name,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("accessors differ (-Flux +Weir):\n%s", diff)
	}
}
