// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	ctrlreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// chartSource is a source of charts of any kind.
type chartSource interface {
	client.Object
	sourcev1.Source
}

// newSource returns an empty object of a kind of source, or nil if charts do not
// come from it.
func newSource(kind string) chartSource {
	switch kind {
	case sourcev1.HelmChartKind:
		return &sourcev1.HelmChart{}
	case sourcev1.OCIRepositoryKind:
		return &sourcev1.OCIRepository{}
	case sourcev1.ExternalArtifactKind:
		return &sourcev1.ExternalArtifact{}
	}
	return nil
}

// findSource reads the source of the chart. One that is not ready for its
// present spec is waited for; its events wake us.
func (c *Controller) findSource(ctx context.Context, s *scope) error {
	ref := s.obj.GetChartReference()
	source, key := newSource(ref.Kind), types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	if source == nil {
		return reconcile.Stalled(helmv2.UnsupportedFieldReason, fmt.Errorf("spec.chartRef.kind %q is not a kind of source for charts", ref.Kind))
	}
	reader := client.Reader(c.Client)
	if c.Options.DirectSourceFetch {
		reader = c.Live
	}
	err := reader.Get(ctx, key, source)
	if apimeta.IsNoMatchError(err) {
		return c.awaitSource(helmv2.ArtifactFailedReason,
			fmt.Errorf("this cluster has no kind %s; install its CustomResourceDefinition and a controller for it, or mend spec.chartRef", ref.Kind))
	}
	if watchErr := c.watchSources(ref.Kind); watchErr != nil {
		return reconcile.Fail(helmv2.ArtifactFailedReason, watchErr)
	}
	if apierrors.IsNotFound(err) && s.obj.Spec.Chart != nil {
		// It was applied a moment ago.
		return c.awaitSource(helmv2.SourceNotReadyReason, notReady(ref, "it is being created"))
	}
	if apierrors.IsNotFound(err) {
		return c.awaitSource(helmv2.ArtifactFailedReason, fmt.Errorf("%s '%s' not found; create it, or mend spec.chartRef", ref.Kind, key))
	}
	if err != nil {
		return reconcile.Fail(helmv2.ArtifactFailedReason, fmt.Errorf("read %s '%s': %w", ref.Kind, key, err))
	}
	if s.memory.written.outdated(source) {
		return c.awaitSource(helmv2.SourceNotReadyReason, notReady(ref, notReconciled))
	}
	if why := unready(source); why != "" {
		return c.awaitSource(helmv2.SourceNotReadyReason, notReady(ref, why))
	}
	s.source, s.artifact = source, source.GetArtifact()
	return nil
}

func (c *Controller) awaitSource(reason string, err error) error {
	return reconcile.Wait(c.Options.RequeueDependency, reason, err)
}

func notReady(ref helmv2.ChartReference, why string) error {
	return fmt.Errorf("%s '%s/%s' is not ready: %s", ref.Kind, ref.Namespace, ref.Name, why)
}

const notReconciled = "latest generation of object has not been reconciled"

// unready returns "" if a source has the chart for its present spec, and else
// what is missing.
func unready(source chartSource) string {
	status, ok := source.(conditions.Getter)
	_, external := source.(*sourcev1.ExternalArtifact)
	switch {
	case external || !ok:
	case source.GetGeneration() != observedGeneration(source):
		if conditions.IsFalse(status, fluxmeta.ReadyCondition) {
			return conditions.GetMessage(status, fluxmeta.ReadyCondition)
		}
		return notReconciled
	case conditions.IsStalled(status):
		return conditions.GetMessage(status, fluxmeta.StalledCondition)
	}
	if source.GetArtifact() == nil {
		return "does not have an artifact"
	}
	return ""
}

func observedGeneration(source chartSource) int64 {
	switch source := source.(type) {
	case *sourcev1.HelmChart:
		return source.Status.ObservedGeneration
	case *sourcev1.OCIRepository:
		return source.Status.ObservedGeneration
	}
	return 0
}

// watchSources has a source of the kind wake those whose chart it has, when it
// has another artifact or becomes ready.
func (c *Controller) watchSources(kind string) error {
	wake := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []ctrlreconcile.Request {
		return c.indexed(ctx, bySource, sourceKey(helmv2.ChartReference{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}))
	})
	return c.watches.Begin(kind, newSource(kind), wake, predicate.Or(reconcile.NewArtifact(), reconcile.Restored(), turnedReady()))
}

// openChart opens the chart, completes its version, and sums up what is wanted.
func (c *Controller) openChart(ctx context.Context, s *scope) error {
	chart, err := c.Charts.Open(ctx, s.source.GetUID(), s.artifact)
	if errors.Is(err, artifact.ErrNotFound) {
		return c.awaitSource(helmv2.ArtifactFailedReason, err)
	}
	if err != nil {
		return reconcile.Fail(helmv2.ArtifactFailedReason, fmt.Errorf("could not load chart: %w", err))
	}
	digest := ""
	if pinned(s.source, s.artifact) {
		if chart, digest, err = chart.Pinned(s.artifact.Revision, !c.Options.PlainVersions); err != nil {
			return reconcile.Fail(helmv2.ChartMutateErrorReason, err)
		}
	}
	s.chart = chart
	s.want = c.desired(s, digest)
	return nil
}

// pinned reports whether the revision of an artifact holds a digest that goes
// into the version of the chart: a tag may come to mean another chart.
func pinned(source client.Object, a *fluxmeta.Artifact) bool {
	switch source.(type) {
	case *sourcev1.OCIRepository:
		return true
	case *sourcev1.ExternalArtifact:
		return strings.Contains(a.Revision, ":")
	}
	return false
}

// turnedReady passes sources that are ready as they were not before, though
// their artifact may be the same.
func turnedReady() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, was := e.ObjectOld.(chartSource)
			after, is := e.ObjectNew.(chartSource)
			return was && is && unready(before) != unready(after)
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}
