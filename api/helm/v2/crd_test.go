// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/api/internal/compat"
)

const (
	ourCRD = "../../../helm-controller/config/crd/helm.toolkit.fluxcd.io_helmreleases.yaml"

	// fluxCRD is made from the Go types of Flux's pinned API module by the same generator, without descriptions.
	fluxCRD = "testdata/flux_helmreleases.yaml"
)

func TestSchemaEqualsFlux(t *testing.T) { compat.SameSchema(t, ourCRD, fluxCRD, true) }

func TestCRDKeepsFluxNames(t *testing.T) { compat.SameNames(t, ourCRD, fluxCRD) }

func TestColumns(t *testing.T) {
	want := []string{"Ready", "Reason", "Chart", "Suspended", "Revision", "Age"}
	if diff := cmp.Diff(want, compat.Columns(t, ourCRD)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
