// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/fluxcd/pkg/runtime/predicates"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	weirreconcile "github.com/weir-gitops/weir/pkg/reconcile"
)

// Indexes of Kustomizations in the cache.
const (
	bySource     = "spec.sourceRef"
	byDependency = "spec.dependsOn"
	byExpression = "spec.dependsOn.readyExpr"
	byConfig     = "configs"
)

// Waker brings Kustomizations back whose applied objects have changed. It is
// made before the controller, because the engine needs it, and is connected
// when the queue exists; what comes before that has nobody to wake.
type Waker struct {
	queue  atomic.Pointer[queue]
	reread atomic.Pointer[func(types.NamespacedName)]
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Wake puts a Kustomization into the queue after the given time.
func (w *Waker) Wake(name types.NamespacedName, after time.Duration) {
	if q := w.queue.Load(); q != nil {
		(*q).AddAfter(reconcile.Request{NamespacedName: name}, after)
	}
}

// Again has a Kustomization try at once what it has failed with.
func (w *Waker) Again(name types.NamespacedName) {
	if reread := w.reread.Load(); reread != nil {
		(*reread)(name)
	}
	w.Wake(name, 0)
}

// connect is the source that hands the queue over.
func (w *Waker) connect(_ context.Context, q queue) error {
	w.queue.Store(&q)
	return nil
}

// SetupWithManager registers the controller, its indexes and its watches.
func (c *Controller) SetupWithManager(ctx context.Context, mgr ctrl.Manager, waker *Waker, options controller.Options) error {
	for index, keys := range map[string]client.IndexerFunc{bySource: sourceKeys, byDependency: dependencyKeys, byExpression: expressionKeys, byConfig: configKeys} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &kustomizev1.Kustomization{}, index, keys); err != nil {
			return err
		}
	}
	built, err := ctrl.NewControllerManagedBy(mgr).
		Named("kustomization").
		For(&kustomizev1.Kustomization{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, weirreconcile.Restored(), confirmationChanged()))).
		Watches(&kustomizev1.Kustomization{}, c.wakeDependents()).
		WatchesRawSource(source.Func(waker.connect)).
		WithOptions(options).
		Build(c)
	if err != nil {
		return err
	}
	c.wake = waker.Wake
	reread := c.reread
	waker.reread.Store(&reread)
	c.watches = weirreconcile.NewKinds(built, mgr.GetCache())
	return nil
}

func sourceKeys(obj client.Object) []string {
	k, ok := obj.(*kustomizev1.Kustomization)
	if !ok {
		return nil
	}
	return []string{sourceKey(k.Spec.SourceRef.Kind, sourceName(k))}
}

func sourceKey(kind string, name types.NamespacedName) string { return kind + "/" + name.String() }

func sourceName(k *kustomizev1.Kustomization) types.NamespacedName {
	return types.NamespacedName{Namespace: k.GetSourceNamespace(), Name: k.Spec.SourceRef.Name}
}

func (c *Controller) indexed(ctx context.Context, index, key string) []reconcile.Request {
	var list kustomizev1.KustomizationList
	if err := c.Client.List(ctx, &list, client.MatchingFields{index: key}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Kustomizations", "index", index, "key", key)
		return nil
	}
	requests := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
	}
	return requests
}
