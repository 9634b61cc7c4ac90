// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"

	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// wakeDependents is told of every change of a Kustomization and wakes those
// for whom it may be what they wait for: dependents when it appears or turns
// ready, dependents with an expression whatever it was, and those in a cycle
// when any spec is another one.
func (c *Controller) wakeDependents() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				c.wakeBy(ctx, q, byDependency, e.Object)
				c.wakeCycles(q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if turnedReady(e.ObjectOld, e.ObjectNew) {
				c.wakeBy(ctx, q, byDependency, e.ObjectNew)
			} else if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				c.wakeBy(ctx, q, byExpression, e.ObjectNew)
			}
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				c.wakeCycles(q)
			}
		},
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { c.wakeCycles(q) },
	}
}

func (c *Controller) wakeBy(ctx context.Context, q queue, index string, obj client.Object) {
	for _, request := range c.indexed(ctx, index, client.ObjectKeyFromObject(obj).String()) {
		q.Add(request)
	}
}

func (c *Controller) wakeCycles(q queue) {
	for _, name := range c.rings.Members() {
		q.Add(reconcile.Request{NamespacedName: name})
	}
}

// turnedReady reports whether a Kustomization is ready as it was not before: at
// all, with another revision, or with another spec.
func turnedReady(before, after client.Object) bool {
	old, wasOne := before.(*kustomizev1.Kustomization)
	now, isOne := after.(*kustomizev1.Kustomization)
	return wasOne && isOne && conditions.IsReady(now) && (!conditions.IsReady(old) ||
		old.Status.LastAppliedRevision != now.Status.LastAppliedRevision ||
		old.Status.ObservedGeneration != now.Status.ObservedGeneration || replanned(old, now))
}

// dependencyKeys are the Kustomizations in spec.dependsOn.
func dependencyKeys(obj client.Object) []string {
	return keysOfDependencies(obj, func(dependency) bool { return true })
}

// expressionKeys are those of them that are judged by an expression.
func expressionKeys(obj client.Object) []string {
	return keysOfDependencies(obj, func(d dependency) bool { return d.ReadyExpr != "" })
}

func keysOfDependencies(obj client.Object, which func(dependency) bool) []string {
	k, ok := obj.(*kustomizev1.Kustomization)
	if !ok {
		return nil
	}
	var keys []string
	for _, d := range k.GetDependsOn() {
		if which(d) {
			keys = append(keys, dependencyKey(k, d).String())
		}
	}
	return keys
}

// forgetDependencies ends what waits on behalf of a Kustomization.
func (c *Controller) forgetDependencies(name types.NamespacedName) {
	c.Lookout.Await(name)
	c.rings.Leave(name)
}
