// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"testing"
	"time"

	fluxv1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/api/internal/compat"
	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

func TestRoundTrip(t *testing.T) {
	compat.RoundTrip(t, func(ours *kustomizev1.Kustomization) { ours.Spec.Weir, ours.Status.Weir = nil, nil }, compareAccessors)
}

// compareAccessors checks that what follows from a spec by default follows from it in Flux too.
func compareAccessors(t *testing.T, flux *fluxv1.Kustomization, ours *kustomizev1.Kustomization) {
	t.Helper()
	type defaults struct {
		Timeout, Retry, Requeue  time.Duration
		Deletion, Strategy, From string
		DependsOn                []string
	}
	want := defaults{
		Timeout: flux.GetTimeout(), Retry: flux.GetRetryInterval(), Requeue: flux.GetRequeueAfter(),
		Deletion: flux.GetDeletionPolicy(), Strategy: string(flux.GetSubstituteStrategy()),
		From: flux.Spec.SourceRef.String(),
	}
	for _, d := range flux.Spec.DependsOn {
		want.DependsOn = append(want.DependsOn, d.String())
	}
	got := defaults{
		Timeout: ours.GetTimeout(), Retry: ours.GetRetryInterval(), Requeue: ours.GetRequeueAfter(),
		Deletion: ours.GetDeletionPolicy(), Strategy: string(ours.GetSubstituteStrategy()),
		From: ours.Spec.SourceRef.String(),
	}
	for _, d := range ours.GetDependsOn() {
		got.DependsOn = append(got.DependsOn, d.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("accessors differ (-Flux +Weir):\n%s", diff)
	}
}
