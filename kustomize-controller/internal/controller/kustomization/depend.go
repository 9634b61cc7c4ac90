// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/cel"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

type dependency = meta.DependencyReference

// checkDependencies waits until every dependency is ready, once for each
// revision and spec: one that falls ill later stops nothing. A dependency that
// turns ready wakes its dependents, so the requeue is a safety net.
func (c *Controller) checkDependencies(ctx context.Context, s *scope) error {
	these := attempt{generation: s.obj.Generation, digest: s.artifact.Digest}
	if s.memory.cleared == these {
		return nil
	}
	if s.hasDependencies() && !s.appliedBefore() {
		if err := s.compileDependencies(); err != nil {
			return reconcile.Stalled(kustomizev1.InvalidCELExpressionReason, err)
		}
		if err := c.checkKustomizations(ctx, s); err != nil {
			return err
		}
		if err := c.checkObjects(ctx, s); err != nil {
			return err
		}
	}
	c.forgetDependencies(s.owner())
	s.memory.cleared = these
	return nil
}

func (s *scope) hasDependencies() bool {
	return len(s.obj.Spec.DependsOn) > 0 || len(objectDependencies(s.obj)) > 0
}

func objectDependencies(obj *kustomizev1.Kustomization) []kustomizev1.ObjectDependency {
	return ptr.Deref(obj.Spec.Weir, kustomizev1.WeirSpec{}).DependsOn
}

// appliedBefore reports whether the status says that this revision was applied
// with this spec before, and so that the dependencies were ready then. It
// matters after a restart.
func (s *scope) appliedBefore() bool {
	return !conditions.IsStalled(s.obj) && s.obj.Status.ObservedGeneration == s.obj.Generation &&
		s.obj.Status.LastAppliedRevision == s.artifact.Revision
}

// checkKustomizations looks at spec.dependsOn. It costs no request.
func (c *Controller) checkKustomizations(ctx context.Context, s *scope) error {
	var waiting []error
	for i, d := range s.obj.GetDependsOn() {
		key := dependencyKey(s.obj, d)
		dep, err := c.readDependency(ctx, key)
		if apierrors.IsNotFound(err) {
			waiting = append(waiting, fmt.Errorf("dependency '%s' not found: there is no such Kustomization; create it, or remove it from spec.dependsOn", key))
			continue
		}
		if err != nil {
			return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.DependencyNotReadyReason, fmt.Errorf("read dependency '%s': %w", key, err))
		}
		if err := c.checkKustomization(ctx, s, dep, s.memory.expressions.kustomizations[i]); err != nil {
			waiting = append(waiting, fmt.Errorf("dependency '%s' is not ready%w", key, err))
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return c.notReady(ctx, s, waiting)
}

// readDependency reads from the cache, and what is not there live: the cache
// may hold one shard only, or lag behind.
func (c *Controller) readDependency(ctx context.Context, key types.NamespacedName) (*kustomizev1.Kustomization, error) {
	dep := &kustomizev1.Kustomization{}
	err := c.Client.Get(ctx, key, dep)
	if apierrors.IsNotFound(err) {
		err = c.Live.Get(ctx, key, dep)
	}
	return dep, err
}

// checkKustomization returns why a Kustomization is not ready, as the end of a
// sentence, or nil. An expression takes the place of the rule, unless the
// options ask for both.
func (c *Controller) checkKustomization(ctx context.Context, s *scope, dep *kustomizev1.Kustomization, expr *cel.Program) error {
	if expr == nil || c.Options.AdditiveDependencyCheck {
		if why := unready(s, dep); why != "" {
			return errors.New(why)
		}
	}
	if expr == nil {
		return nil
	}
	content, err := content(dep)
	if err != nil {
		return err
	}
	return s.evaluate(ctx, expr, content)
}

// unready returns "" if a dependency is ready, and else what is missing. One
// that is applied from the same source must have applied the same revision.
func unready(s *scope, dep *kustomizev1.Kustomization) string {
	if why, planned := plannedDependency(s, dep); planned {
		return why
	}
	switch {
	case dep.Status.ObservedGeneration != dep.Generation, !conditions.IsTrue(dep, kustomizev1.ReadyCondition):
		return depend.Unready(dep)
	case dep.Spec.SourceRef.Kind == s.obj.Spec.SourceRef.Kind && dep.Spec.SourceRef.Name == s.obj.Spec.SourceRef.Name &&
		dep.GetSourceNamespace() == s.obj.GetSourceNamespace() && dep.Status.LastAppliedRevision != s.artifact.Revision:
		return fmt.Sprintf(": it has not applied revision %s yet", s.artifact.Revision)
	}
	return ""
}

// expressions are the compiled expressions of the dependencies of one
// generation, in their order; nil for those that have none.
type expressions struct {
	generation              int64
	kustomizations, objects []*cel.Program
}

// compileDependencies compiles what the spec holds, once per generation.
func (s *scope) compileDependencies() error {
	if have := s.memory.expressions; have != nil && have.generation == s.obj.Generation {
		return nil
	}
	compiled := &expressions{generation: s.obj.Generation}
	var err error
	spec, objects := s.obj.Spec.DependsOn, objectDependencies(s.obj)
	if compiled.kustomizations, err = depend.Compile("spec.dependsOn", len(spec), func(i int) string { return spec[i].ReadyExpr }); err != nil {
		return err
	}
	if compiled.objects, err = depend.Compile("spec.weir.dependsOn", len(objects), func(i int) string { return objects[i].ReadyExpr }); err != nil {
		return err
	}
	s.memory.expressions = compiled
	return nil
}

// evaluate returns why an expression does not count a dependency as ready, as
// the end of a sentence, or nil.
func (s *scope) evaluate(ctx context.Context, expr *cel.Program, dep map[string]any) error {
	if s.self == nil {
		self, err := content(s.obj)
		if err != nil {
			return err
		}
		s.self = self
	}
	return depend.Evaluate(ctx, expr, s.self, dep)
}

// content is what expressions see of a Kustomization.
func content(obj *kustomizev1.Kustomization) (map[string]any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf(": convert it for its expression: %w", err)
	}
	fields["apiVersion"], fields["kind"] = kustomizev1.GroupVersion.String(), kustomizev1.KustomizationKind
	return fields, nil
}

// notReady waits for what may include Kustomizations, or stalls where waiting cannot end: in a cycle.
func (c *Controller) notReady(ctx context.Context, s *scope, waiting []error) error {
	if cycle := c.findCycle(ctx, s.obj); len(cycle) > 0 {
		return stalledInCycle(cycle)
	}
	return c.wait(waiting)
}

func (c *Controller) wait(waiting []error) error {
	return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.DependencyNotReadyReason, depend.NotReady(waiting))
}

func dependencyKey(obj *kustomizev1.Kustomization, d dependency) types.NamespacedName {
	return depend.KeyOf(obj.Namespace, d)
}
