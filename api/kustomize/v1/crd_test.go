// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/api/internal/compat"
	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

const (
	ourCRD = "../../../kustomize-controller/config/crd/kustomize.toolkit.fluxcd.io_kustomizations.yaml"

	// fluxCRD is made from the Go types of Flux's pinned API module by the same generator, without descriptions.
	fluxCRD = "testdata/flux_kustomizations.yaml"
)

func TestSchemaEqualsFlux(t *testing.T) { compat.SameSchema(t, ourCRD, fluxCRD, true) }

func TestCRDKeepsFluxNames(t *testing.T) { compat.SameNames(t, ourCRD, fluxCRD) }

func TestColumns(t *testing.T) {
	want := []string{"Ready", "Reason", "Source", "Suspended", "Revision", "Age"}
	if diff := cmp.Diff(want, compat.Columns(t, ourCRD)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestBoundOfCompletedJobs(t *testing.T) {
	status := compat.Schema(t, ourCRD)["properties"].(map[string]any)["status"].(map[string]any)
	weir := status["properties"].(map[string]any)["weir"].(map[string]any)
	jobs := weir["properties"].(map[string]any)["completedJobs"].(map[string]any)
	if got := jobs["maxItems"]; !reflect.DeepEqual(got, float64(kustomizev1.MaxCompletedJobs)) {
		t.Errorf("the CRD takes %v entries, MaxCompletedJobs is %d", got, kustomizev1.MaxCompletedJobs)
	}
}
