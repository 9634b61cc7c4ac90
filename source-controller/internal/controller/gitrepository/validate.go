// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// validate stalls objects that no retry can help.
func (c *Controller) validate(_ context.Context, s *scope) error {
	if err := unsupported(&s.obj.Spec); err != nil {
		return err
	}
	if _, err := git.ParseURL(s.obj.Spec.URL); err != nil {
		return s.Stall(sourcev1.FetchFailedCondition, sourcev1.URLInvalidReason, fmt.Errorf("spec.url: %w", err))
	}
	// What Flux may have left from a spec with these fields.
	conditions.Delete(s.obj, sourcev1.IncludeUnavailableCondition)
	conditions.Delete(s.obj, sourcev1.SourceVerifiedCondition)
	return nil
}

// unsupported refuses fields that would be ignored.
func unsupported(spec *sourcev1.GitRepositorySpec) error {
	return artifact.Unsupported(
		artifact.Field{Name: "spec.provider: " + spec.Provider, Used: spec.Provider != "" && spec.Provider != sourcev1.GitProviderGeneric},
		artifact.Field{Name: "spec.serviceAccountName", Used: spec.ServiceAccountName != ""},
		artifact.Field{Name: "spec.verify", Used: spec.Verification != nil},
		artifact.Field{Name: "spec.proxySecretRef", Used: spec.ProxySecretRef != nil},
		artifact.Field{Name: "spec.recurseSubmodules", Used: spec.RecurseSubmodules},
		artifact.Field{Name: "spec.include", Used: len(spec.Include) > 0},
		artifact.Field{Name: "spec.sparseCheckout", Used: len(spec.SparseCheckout) > 0},
	)
}
