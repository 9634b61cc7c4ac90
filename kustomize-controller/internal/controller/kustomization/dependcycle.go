// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

func stalledInCycle(cycle []types.NamespacedName) error {
	return reconcile.Stalled(kustomizev1.DependencyCycleReason, fmt.Errorf(
		"dependency cycle: %s; remove one of these from spec.dependsOn or spec.weir.dependsOn", depend.Describe(cycle)))
}

// findCycle returns a way from obj back to itself, or nil. From before it
// looks until it finds none, an edit of any Kustomization wakes obj: the edit
// may be the one that breaks the cycle.
func (c *Controller) findCycle(ctx context.Context, obj *kustomizev1.Kustomization) []types.NamespacedName {
	start := client.ObjectKeyFromObject(obj)
	return c.rings.Find(start, func() func(types.NamespacedName) []types.NamespacedName {
		all := c.graph(ctx)
		all[start] = obj
		return func(key types.NamespacedName) []types.NamespacedName {
			if next := all[key]; next != nil {
				return kustomizationsOf(next)
			}
			return nil
		}
	}, func(name types.NamespacedName) { c.wake(name, 0) })
}

// graph returns all Kustomizations that the cache holds, to be read only. One
// list that copies nothing is cheaper than one read for each member of a long
// chain. Without it no cycle is found, and obj waits.
func (c *Controller) graph(ctx context.Context) map[types.NamespacedName]*kustomizev1.Kustomization {
	list := &kustomizev1.KustomizationList{}
	if err := c.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Kustomizations, to look for a cycle")
	}
	all := make(map[types.NamespacedName]*kustomizev1.Kustomization, len(list.Items))
	for i := range list.Items {
		all[client.ObjectKeyFromObject(&list.Items[i])] = &list.Items[i]
	}
	return all
}

// kustomizationsOf lists the Kustomizations that one depends on, in either
// form.
func kustomizationsOf(obj *kustomizev1.Kustomization) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, d := range obj.GetDependsOn() {
		keys = append(keys, dependencyKey(obj, d))
	}
	for _, d := range objectDependencies(obj) {
		if isKustomization(d) {
			keys = append(keys, dependencyKey(obj, dependency{Name: d.Name, Namespace: d.Namespace}))
		}
	}
	return keys
}

func isKustomization(d kustomizev1.ObjectDependency) bool {
	gvk := schema.FromAPIVersionAndKind(d.APIVersion, d.Kind)
	return gvk.Group == kustomizev1.GroupVersion.Group && gvk.Kind == kustomizev1.KustomizationKind
}
