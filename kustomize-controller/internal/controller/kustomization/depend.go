// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/runtime/conditions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

type dependency = meta.DependencyReference

// checkDependencies waits until every dependency is ready. A dependency that
// turns ready wakes its dependents, so the requeue is a safety net.
func (c *Controller) checkDependencies(ctx context.Context, s *scope) error {
	for _, d := range s.obj.GetDependsOn() {
		key := dependencyKey(s.obj, d)
		dep := &kustomizev1.Kustomization{}
		err := c.Client.Get(ctx, key, dep)
		if apierrors.IsNotFound(err) {
			return c.notReady(ctx, s, fmt.Errorf("dependency '%s' not found", key))
		}
		if err != nil {
			return reconcile.Fail(kustomizev1.DependencyNotReadyReason, fmt.Errorf("read dependency '%s': %w", key, err))
		}
		if why := unready(s, dep); why != "" {
			return c.notReady(ctx, s, fmt.Errorf("dependency '%s' is not ready%s", key, why))
		}
	}
	return nil
}

// unready returns "" if a dependency is ready, and else what is missing. One
// that is applied from the same source must have applied the same revision.
func unready(s *scope, dep *kustomizev1.Kustomization) string {
	switch {
	case dep.Status.ObservedGeneration != dep.Generation, !conditions.IsTrue(dep, kustomizev1.ReadyCondition):
		return unreadyText(dep)
	case dep.Spec.SourceRef.Kind == s.obj.Spec.SourceRef.Kind && dep.Spec.SourceRef.Name == s.obj.Spec.SourceRef.Name &&
		dep.GetSourceNamespace() == s.obj.GetSourceNamespace() && dep.Status.LastAppliedRevision != s.artifact.Revision:
		return fmt.Sprintf(": it has not applied revision %s yet", s.artifact.Revision)
	}
	return ""
}

func unreadyText(dep *kustomizev1.Kustomization) string {
	if reason := conditions.GetReason(dep, kustomizev1.ReadyCondition); reason != "" {
		return ": " + reason
	}
	return ": it has not been reconciled yet"
}

// notReady waits, or stalls where waiting cannot end: in a cycle.
func (c *Controller) notReady(ctx context.Context, s *scope, err error) error {
	if cycle := c.findCycle(ctx, s.obj); len(cycle) > 0 {
		return reconcile.Stalled(kustomizev1.DependencyCycleReason,
			fmt.Errorf("dependency cycle: %s; remove one of these from spec.dependsOn", strings.Join(cycle, " -> ")))
	}
	return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.DependencyNotReadyReason, err)
}

// findCycle returns the names on a way from obj back to itself, or nil.
func (c *Controller) findCycle(ctx context.Context, obj *kustomizev1.Kustomization) []string {
	start := types.NamespacedName{Namespace: obj.Namespace, Name: obj.Name}
	seen := map[types.NamespacedName]bool{}
	var search func(at *kustomizev1.Kustomization, way []string) []string
	search = func(at *kustomizev1.Kustomization, way []string) []string {
		for _, d := range at.GetDependsOn() {
			key := dependencyKey(at, d)
			if key == start {
				return append(slices.Clone(way), key.String())
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			next := &kustomizev1.Kustomization{}
			if c.Client.Get(ctx, key, next) != nil {
				continue
			}
			if cycle := search(next, append(way, key.String())); cycle != nil {
				return cycle
			}
		}
		return nil
	}
	return search(obj, []string{start.String()})
}

func dependencyKey(obj *kustomizev1.Kustomization, d dependency) types.NamespacedName {
	namespace := d.Namespace
	if namespace == "" {
		namespace = obj.Namespace
	}
	return types.NamespacedName{Namespace: namespace, Name: d.Name}
}
