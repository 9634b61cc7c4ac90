// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"testing"

	fluxautomation "github.com/fluxcd/image-automation-controller/api/v1"
	fluxreflector "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/internal/compat"
)

const crds = "../../../image-automation-controller/config/crd/image.toolkit.fluxcd.io_"

func same(t *testing.T, what string, flux, ours any) {
	t.Helper()
	if diff := cmp.Diff(flux, ours); diff != "" {
		t.Fatalf("%s differs (-Flux +Weir):\n%s", what, diff)
	}
}

func TestImageUpdateAutomationRoundTrip(t *testing.T) {
	strip := func(ours *imagev1.ImageUpdateAutomation) { ours.Spec.Weir, ours.Status.Weir = nil, nil }
	compat.RoundTrip(t, strip, func(t *testing.T, flux *fluxautomation.ImageUpdateAutomation, ours *imagev1.ImageUpdateAutomation) {
		same(t, "GetRequeueAfter", flux.GetRequeueAfter(), ours.GetRequeueAfter())
		same(t, "GetPolicyChangeDelay", flux.GetPolicyChangeDelay(), ours.GetPolicyChangeDelay())
		same(t, "the reference to the source", flux.Spec.SourceRef.String(), ours.Spec.SourceRef.String())
		if flux.Spec.GitSpec != nil {
			same(t, "HasRefspec", flux.Spec.GitSpec.HasRefspec(), ours.Spec.GitSpec.HasRefspec())
		}
		for name, ref := range flux.Status.ObservedPolicies {
			mine := ours.Status.ObservedPolicies[name]
			same(t, "an image", ref.String(), mine.String())
		}
	})
}

func TestImageRepositoryRoundTrip(t *testing.T) {
	compat.RoundTrip(t, func(*imagev1.ImageRepository) {}, func(t *testing.T, flux *fluxreflector.ImageRepository, ours *imagev1.ImageRepository) {
		same(t, "GetTimeout", flux.GetTimeout(), ours.GetTimeout())
		same(t, "GetRequeueAfter", flux.GetRequeueAfter(), ours.GetRequeueAfter())
		same(t, "GetExclusionList", flux.GetExclusionList(), ours.GetExclusionList())
		same(t, "GetProvider", flux.GetProvider(), ours.GetProvider())
	})
}

func TestImagePolicyRoundTrip(t *testing.T) {
	compat.RoundTrip(t, func(*imagev1.ImagePolicy) {}, func(t *testing.T, flux *fluxreflector.ImagePolicy, ours *imagev1.ImagePolicy) {
		same(t, "GetInterval", flux.GetInterval(), ours.GetInterval())
		same(t, "GetDigestReflectionPolicy", string(flux.GetDigestReflectionPolicy()), string(ours.GetDigestReflectionPolicy()))
	})
}

func TestCRDsEqualFlux(t *testing.T) {
	for kind, columns := range map[string][]string{
		"imageupdateautomations": {"Ready", "Reason", "Held", "Suspended", "Revision", "Age"},
		"imagerepositories":      {"Ready", "Reason", "Image", "Tags", "Revision", "Age"},
		"imagepolicies":          {"Ready", "Reason", "Image", "Tag", "Age"},
	} {
		t.Run(kind, func(t *testing.T) {
			ours, flux := crds+kind+".yaml", "testdata/flux_"+kind+".yaml"
			compat.SameSchema(t, ours, flux, kind == "imageupdateautomations")
			compat.SameNames(t, ours, flux)
			same(t, "the list of columns", columns, compat.Columns(t, ours))
		})
	}
}
