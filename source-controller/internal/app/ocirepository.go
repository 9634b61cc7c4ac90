// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/source-controller/internal/controller/ocirepository"
)

// setupOCIRepository adds the controller of OCIRepositories.
func setupOCIRepository(p *parts) error {
	c := &ocirepository.Controller{
		Keeper:         p.keeper(&sourcev1.OCIRepository{}),
		Registry:       p.registry,
		ServiceAccount: p.options.DefaultServiceAccount,
		MaxSize:        p.options.ArtifactMaxSize,
	}
	return c.SetupWithManager(p.app.Manager, p.patientOptions())
}
