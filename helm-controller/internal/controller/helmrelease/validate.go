// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// compiled is what the expressions and rules of a generation of the spec come
// to, or what is wrong with them.
type compiled struct {
	generation int64
	checks     *health.Checks
	rules      *exemption.Rules
	err        error
}

// validate stalls on what no retry can help.
func (c *Controller) validate(_ context.Context, s *scope) error {
	known := &s.memory.compiled
	if known.generation != s.obj.Generation {
		*known = compile(s.obj)
	}
	if known.err != nil {
		return known.err
	}
	s.checks, s.rules = known.checks, known.rules
	if ref := s.obj.Spec.ChartRef; ref != nil && ref.Kind == sourcev1.ExternalArtifactKind && !c.Options.ExternalArtifacts {
		return reconcile.Stalled(helmv2.AccessDeniedReason,
			errors.New("spec.chartRef names an ExternalArtifact, and this controller takes none; start it with --feature-gates=ExternalArtifact=true"))
	}
	if !c.Options.NoCrossNamespaceRefs {
		return nil
	}
	if err := crossNamespace(s.obj); err != nil {
		return reconcile.Stalled(helmv2.AccessDeniedReason, err)
	}
	return nil
}

func compile(obj *helmv2.HelmRelease) compiled {
	out := compiled{generation: obj.Generation}
	var err error
	if out.checks, err = health.Compile("spec.healthCheckExprs", obj.Spec.HealthCheckExprs); err != nil {
		out.err = reconcile.Stalled(helmv2.InvalidCELExpressionReason, err)
		return out
	}
	if drift := obj.Spec.DriftDetection; drift != nil {
		if out.rules, err = exemption.FromSpec("spec.driftDetection.ignore", drift.Ignore); err != nil {
			out.err = reconcile.Stalled(helmv2.InvalidIgnoreRuleReason, err)
		}
	}
	return out
}

// crossNamespace returns which references lead to other namespaces.
func crossNamespace(obj *helmv2.HelmRelease) error {
	var errs []error
	forbid := func(field, name, namespace string) {
		if namespace != "" && namespace != obj.Namespace {
			errs = append(errs, fmt.Errorf("%s names %s in namespace %q, and references to other namespaces are forbidden here", field, name, namespace))
		}
	}
	if ref := obj.Spec.ChartRef; ref != nil {
		forbid("spec.chartRef", ref.Name, ref.Namespace)
	}
	if chart := obj.Spec.Chart; chart != nil && chart.Spec.SourceRef != nil {
		forbid("spec.chart.spec.sourceRef", chart.Spec.SourceRef.Name, chart.Spec.SourceRef.Namespace)
	}
	for _, d := range obj.Spec.DependsOn {
		forbid("spec.dependsOn", d.Name, d.Namespace)
	}
	return errors.Join(errs...)
}
