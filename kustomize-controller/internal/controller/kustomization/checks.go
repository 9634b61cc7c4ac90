// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// compiled are the expressions of a generation of the spec, or what is wrong
// with them.
type compiled struct {
	generation int64
	checks     *health.Checks
	err        error
}

// compileChecks has the objects judged by the expressions of the spec. They are
// compiled once for each generation of it.
func (c *Controller) compileChecks(_ context.Context, s *scope) error {
	known := &s.memory.compiled
	if known.generation != s.obj.Generation {
		known.generation = s.obj.Generation
		known.checks, known.err = health.Compile("spec.healthCheckExprs", s.obj.Spec.HealthCheckExprs)
	}
	if known.err != nil {
		return reconcile.Stalled(kustomizev1.InvalidCELExpressionReason, known.err)
	}
	s.checks = known.checks
	s.engine.Judge(s.set, s.checks)
	return nil
}
