// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// UnsupportedFieldReason says that the spec uses a field that this version
// does not act on. Nothing is fetched, because what the field asks for, such
// as a verified signature, would be missing.
const UnsupportedFieldReason = "UnsupportedField"

// validate stalls objects that no retry can help.
func (c *Controller) validate(_ context.Context, s *scope) error {
	if fields := unsupported(&s.obj.Spec); len(fields) > 0 {
		return reconcile.Stalled(UnsupportedFieldReason, fmt.Errorf(
			"this version of source-controller does not support %s; remove it from the spec", strings.Join(fields, ", ")))
	}
	if _, err := git.ParseURL(s.obj.Spec.URL); err != nil {
		err = fmt.Errorf("spec.url: %w", err)
		conditions.MarkTrue(s.obj, sourcev1.FetchFailedCondition, sourcev1.URLInvalidReason, "%s", err)
		return reconcile.Stalled(sourcev1.URLInvalidReason, err)
	}
	// What Flux may have left from a spec with these fields.
	conditions.Delete(s.obj, sourcev1.IncludeUnavailableCondition)
	conditions.Delete(s.obj, sourcev1.SourceVerifiedCondition)
	return nil
}

// unsupported names the fields of a spec that would be ignored.
func unsupported(spec *sourcev1.GitRepositorySpec) []string {
	used := []struct {
		name string
		set  bool
	}{
		{"spec.provider: " + spec.Provider, spec.Provider != "" && spec.Provider != sourcev1.GitProviderGeneric},
		{"spec.serviceAccountName", spec.ServiceAccountName != ""},
		{"spec.verify", spec.Verification != nil},
		{"spec.proxySecretRef", spec.ProxySecretRef != nil},
		{"spec.recurseSubmodules", spec.RecurseSubmodules},
		{"spec.include", len(spec.Include) > 0},
		{"spec.sparseCheckout", len(spec.SparseCheckout) > 0},
	}
	var names []string
	for _, field := range used {
		if field.set {
			names = append(names, field.name)
		}
	}
	return names
}
