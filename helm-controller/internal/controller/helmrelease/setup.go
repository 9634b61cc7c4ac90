// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"

	"github.com/fluxcd/pkg/runtime/predicates"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Indexes of HelmReleases in the cache.
const (
	bySource     = "spec.chart"
	byDependency = "spec.dependsOn"
	byExpression = "spec.dependsOn.readyExpr"
	byRelease    = "spec.releaseName"
)

type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]

// SetupWithManager registers the controller, its indexes and its watches. The
// waker is the one that brings HelmReleases back whose objects have changed, or
// whose actions have ended.
func (c *Controller) SetupWithManager(ctx context.Context, mgr ctrl.Manager, waker *Waker, options controller.Options) error {
	for index, keys := range map[string]client.IndexerFunc{bySource: sourceKeys, byDependency: dependencyKeys, byExpression: expressionKeys, byRelease: releaseKeys} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &helmv2.HelmRelease{}, index, keys); err != nil {
			return err
		}
	}
	built, err := ctrl.NewControllerManagedBy(mgr).
		Named("helmrelease").
		For(&helmv2.HelmRelease{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, reconcile.Restored()))).
		Watches(&helmv2.HelmRelease{}, c.wakeDependents()).
		WatchesRawSource(waker.Source()).
		WithOptions(options).
		Build(c)
	if err != nil {
		return err
	}
	c.waker = waker
	c.watches = reconcile.NewKinds(built, mgr.GetCache())
	return nil
}

func sourceKeys(obj client.Object) []string {
	hr, ok := obj.(*helmv2.HelmRelease)
	if !ok {
		return nil
	}
	return []string{sourceKey(hr.GetChartReference())}
}

func sourceKey(ref helmv2.ChartReference) string {
	return ref.Kind + "/" + ref.Namespace + "/" + ref.Name
}

func (c *Controller) indexed(ctx context.Context, index, key string) []ctrl.Request {
	var list helmv2.HelmReleaseList
	if err := c.Client.List(ctx, &list, client.MatchingFields{index: key}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list HelmReleases", "index", index, "key", key)
		return nil
	}
	requests := make([]ctrl.Request, len(list.Items))
	for i := range list.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
	}
	return requests
}

// releaseKeys is where the release is stored, and its name.
func releaseKeys(obj client.Object) []string {
	hr, ok := obj.(*helmv2.HelmRelease)
	if !ok {
		return nil
	}
	return []string{types.NamespacedName{Namespace: hr.GetStorageNamespace(), Name: hr.GetReleaseName()}.String()}
}

// StorageChanged wakes the HelmReleases of a release of which somebody else has
// changed a record.
func (c *Controller) StorageChanged(release types.NamespacedName) {
	if c.waker == nil {
		return
	}
	for _, request := range c.indexed(context.Background(), byRelease, release.String()) {
		c.waker.Wake(request.NamespacedName)
	}
}
