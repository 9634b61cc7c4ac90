// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
)

const (
	// sourceIndex finds the HelmCharts of a source by "<kind>/<name>".
	sourceIndex = ".spec.sourceRef"
	// urlIndex finds the HelmRepositories of a normalised URL.
	urlIndex = ".spec.url"
)

// SetupWithManager registers the controller, which wakes for changes of its
// objects and of the sources that they name.
func (c *Controller) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	for _, index := range []struct {
		obj   client.Object
		field string
		value client.IndexerFunc
	}{
		{&sourcev1.HelmChart{}, sourceIndex, sourceOf},
		{&sourcev1.HelmRepository{}, urlIndex, urlOf},
	} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, index.obj, index.field, index.value); err != nil {
			return fmt.Errorf("index %s of %T: %w", index.field, index.obj, err)
		}
	}
	changed := builder.WithPredicates(sourceChanged())
	return ctrl.NewControllerManagedBy(mgr).
		Named("helmchart").
		For(&sourcev1.HelmChart{}, builder.WithPredicates(artifact.Changes())).
		Watches(&sourcev1.HelmRepository{}, c.chartsOf(sourcev1.HelmRepositoryKind), changed).
		Watches(&sourcev1.GitRepository{}, c.chartsOf(sourcev1.GitRepositoryKind), changed).
		WithOptions(options).
		Complete(c)
}

func sourceOf(obj client.Object) []string {
	if hc, ok := obj.(*sourcev1.HelmChart); ok {
		return []string{hc.Spec.SourceRef.Kind + "/" + hc.Spec.SourceRef.Name}
	}
	return nil
}

func urlOf(obj client.Object) []string {
	repo, ok := obj.(*sourcev1.HelmRepository)
	if !ok {
		return nil
	}
	if url, err := chart.NormalizeURL(repo.Spec.URL); err == nil {
		return []string{url}
	}
	return nil
}

// sourceChanged passes sources that are new, have another artifact, or are said
// to be elsewhere: those of registries have no artifact at all.
func sourceChanged() predicate.Predicate {
	return predicate.Funcs{
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, known := e.ObjectOld.(sourcev1.Source)
			after, ok := e.ObjectNew.(sourcev1.Source)
			return ok && known && (revisionOf(before) != revisionOf(after) || e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration())
		},
	}
}

// revisionOf is that of a source's artifact, or empty.
func revisionOf(source sourcev1.Source) string {
	if a := source.GetArtifact(); a != nil {
		return a.Revision
	}
	return ""
}

// isRegistry reports whether a source is a HelmRepository of the type "oci",
// which has no artifact.
func isRegistry(source sourcev1.Source) bool {
	repo, ok := source.(*sourcev1.HelmRepository)
	return ok && repo.Spec.Type == sourcev1.HelmRepositoryTypeOCI
}

// chartsOf wakes the charts of a source that were not made from its artifact,
// or are not ready. For those of a registry nobody knows.
func (c *Controller) chartsOf(kind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		source, ok := obj.(sourcev1.Source)
		if !ok {
			return nil
		}
		var list sourcev1.HelmChartList
		err := c.Sources.List(ctx, &list, client.InNamespace(obj.GetNamespace()), client.MatchingFields{sourceIndex: kind + "/" + obj.GetName()})
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "a chart may see the change of its source late", "source", kind+"/"+obj.GetName())
			return nil
		}
		var requests []reconcile.Request
		for i := range list.Items {
			hc := &list.Items[i]
			if isRegistry(source) || !conditions.IsReady(hc) || hc.Status.ObservedSourceArtifactRevision != revisionOf(source) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(hc)})
			}
		}
		return requests
	})
}
