// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// validate stalls on what no retry can help: values that this version of the
// controller does not implement, and references that it forbids. It never
// ignores a field.
func (c *Controller) validate(_ context.Context, s *scope) error {
	if err := c.checkDecryption(s); err != nil {
		return reconcile.Stalled(kustomizev1.UnsupportedFieldReason, err)
	}
	if s.obj.Spec.SourceRef.Kind == sourcev1.ExternalArtifactKind && !c.Options.ExternalArtifacts {
		return reconcile.Stalled(kustomizev1.FeatureGateDisabledReason,
			errors.New("spec.sourceRef names an ExternalArtifact, and this controller takes none; start it with --feature-gates=ExternalArtifact=true"))
	}
	var err error
	if s.rules, err = exemption.FromSpec("spec.ignore", s.obj.Spec.Ignore); err != nil {
		return reconcile.Stalled(kustomizev1.InvalidIgnoreRuleReason, err)
	}
	if !c.Options.NoCrossNamespaceRefs {
		return nil
	}
	if err := crossNamespace(s.obj); err != nil {
		return reconcile.Stalled(kustomizev1.AccessDeniedReason, err)
	}
	return nil
}

func crossNamespace(obj *kustomizev1.Kustomization) error {
	if ns := obj.GetSourceNamespace(); ns != obj.Namespace {
		return fmt.Errorf("spec.sourceRef names %s in namespace %q, and references to other namespaces are forbidden here", obj.Spec.SourceRef.Name, ns)
	}
	var errs []error
	for _, d := range obj.GetDependsOn() {
		if d.Namespace != "" && d.Namespace != obj.Namespace {
			errs = append(errs, fmt.Errorf("spec.dependsOn names %s/%s, and references to other namespaces are forbidden here", d.Namespace, d.Name))
		}
	}
	for _, d := range objectDependencies(obj) {
		if d.Namespace != "" && d.Namespace != obj.Namespace {
			errs = append(errs, fmt.Errorf("spec.weir.dependsOn names %s/%s/%s, and references to other namespaces are forbidden here", d.Kind, d.Namespace, d.Name))
		}
	}
	return errors.Join(errs...)
}
