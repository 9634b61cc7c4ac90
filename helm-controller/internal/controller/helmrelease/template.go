// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"cmp"
	"context"
	"fmt"
	"maps"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// makeSource keeps the source that spec.chart describes, and deletes the one
// that it described before, or that spec.chartRef has taken the place of.
func (c *Controller) makeSource(ctx context.Context, s *scope) error {
	made := s.obj.Status.GetChart()
	var want helmv2.ChartReference
	if s.obj.Spec.Chart != nil {
		want = s.obj.GetChartReference()
	}
	if made != (helmv2.ChartReference{}) && made != want {
		if err := c.deleteSource(ctx, s); err != nil {
			return err
		}
	}
	if s.obj.Spec.Chart == nil {
		return nil
	}
	if err := c.watchSources(want.Kind); err != nil {
		return reconcile.Fail(helmv2.ArtifactFailedReason, err)
	}
	if err := c.applySource(ctx, s, want, sourceOf(s.obj, want)); err != nil {
		return reconcile.Fail(helmv2.HelmChartSyncErrorReason, err)
	}
	s.obj.Status.SetChart(want)
	return nil
}

// applySource writes the source unless it is as it is wanted.
func (c *Controller) applySource(ctx context.Context, s *scope, ref helmv2.ChartReference, wanted client.Object) error {
	key, live := client.ObjectKeyFromObject(wanted), newSource(ref.Kind)
	err := c.Client.Get(ctx, key, live)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read %s %s: %w", ref.Kind, key, err)
	}
	exists := err == nil
	if exists {
		if owner := ownerOf(live); owner != "" && owner != s.obj.Namespace+"/"+s.obj.Name {
			return fmt.Errorf("%s %s belongs to HelmRelease %s; rename one of the two HelmReleases", ref.Kind, key, owner)
		}
		if asWanted(live, wanted, s.memory.madeSource == s.obj.Generation) {
			s.memory.madeSource = s.obj.Generation
			return nil
		}
	}
	written, err := c.writeSource(ctx, ref.Kind, wanted)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", ref.Kind, key, err)
	}
	s.memory.madeSource, s.memory.written = s.obj.Generation, written
	reason, verb := helmv2.HelmChartCreatedReason, "created"
	if exists {
		reason, verb = helmv2.HelmChartConfiguredReason, "configured"
	}
	c.event(s, corev1.EventTypeNormal, reason, fmt.Sprintf("%s/%s/%s %s with %s", ref.Kind, ref.Namespace, ref.Name, verb, originOf(wanted)))
	return nil
}

// written is a source as this process has written it last.
type written struct {
	uid        types.UID
	generation int64
}

// outdated reports whether a source, as the cache has it, is one from before it
// was written: its chart is not the one that the spec asks for by now.
func (w written) outdated(source client.Object) bool {
	return source.GetUID() == w.uid && source.GetGeneration() < w.generation
}

func (c *Controller) writeSource(ctx context.Context, kind string, wanted client.Object) (written, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return written{}, err
	}
	object := &unstructured.Unstructured{Object: fields}
	object.SetGroupVersionKind(sourcev1.GroupVersion.WithKind(kind))
	delete(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	err = c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(helmv2.FieldManager), client.ForceOwnership)
	return written{object.GetUID(), object.GetGeneration()}, err
}

// asWanted reports whether a source need not be written. Until this process has
// written this generation, there must be nothing in it that is not in the
// template: it may be left from an earlier one.
func asWanted(live, wanted client.Object, written bool) bool {
	alike, holds := equality.Semantic.DeepEqual, maps.Equal[map[string]string, map[string]string]
	if written {
		alike, holds = equality.Semantic.DeepDerivative, carries
	}
	return alike(specOf(wanted), specOf(live)) && holds(live.GetLabels(), wanted.GetLabels()) && holds(live.GetAnnotations(), wanted.GetAnnotations())
}

func specOf(source client.Object) any {
	switch source := source.(type) {
	case *sourcev1.HelmChart:
		return source.Spec
	case *sourcev1.OCIRepository:
		return source.Spec
	}
	return nil
}

func carries(all, some map[string]string) bool {
	for key, value := range some {
		if have, ok := all[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// ownerOf names the HelmRelease that a source was made for.
func ownerOf(source client.Object) string {
	labels := source.GetLabels()
	if labels[helmv2.OwnerNameLabel] == "" {
		return ""
	}
	return labels[helmv2.OwnerNamespaceLabel] + "/" + labels[helmv2.OwnerNameLabel]
}

// originOf says where a source has its chart from.
func originOf(source client.Object) string {
	switch source := source.(type) {
	case *sourcev1.HelmChart:
		return fmt.Sprintf("SourceRef '%s/%s/%s'", source.Spec.SourceRef.Kind, source.Namespace, source.Spec.SourceRef.Name)
	case *sourcev1.OCIRepository:
		return fmt.Sprintf("URL '%s'", source.Spec.URL)
	}
	return ""
}

// sourceOf builds the source that spec.chart describes, with the API server's
// defaults, so that it compares with a live one.
func sourceOf(obj *helmv2.HelmRelease, ref helmv2.ChartReference) client.Object {
	template := obj.Spec.Chart.DeepCopy()
	metadata := metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, Labels: map[string]string{}}
	if template.ObjectMeta != nil {
		maps.Copy(metadata.Labels, template.ObjectMeta.Labels)
		metadata.Annotations = template.ObjectMeta.Annotations
	}
	metadata.Labels[helmv2.OwnerNameLabel], metadata.Labels[helmv2.OwnerNamespaceLabel] = obj.Name, obj.Namespace
	spec := template.Spec
	if ref.Kind == sourcev1.OCIRepositoryKind {
		spec.OCIRepositorySpec.Interval = new(obj.GetTemplateInterval())
		return &sourcev1.OCIRepository{ObjectMeta: metadata, Spec: spec.OCIRepositorySpec}
	}
	chart := &sourcev1.HelmChart{ObjectMeta: metadata, Spec: sourcev1.HelmChartSpec{
		Chart:                    spec.Chart,
		Version:                  cmp.Or(spec.Version, "*"),
		SourceRef:                sourcev1.LocalHelmChartSourceReference{Kind: spec.SourceRef.Kind, Name: spec.SourceRef.Name},
		Interval:                 obj.GetTemplateInterval(),
		ReconcileStrategy:        cmp.Or(spec.ReconcileStrategy, sourcev1.ReconcileStrategyChartVersion),
		ValuesFiles:              spec.ValuesFiles,
		IgnoreMissingValuesFiles: spec.IgnoreMissingValuesFiles,
	}}
	if verify := spec.Verify; verify != nil {
		chart.Spec.Verify = &sourcev1.HelmChartVerification{Provider: verify.Provider, SecretRef: verify.SecretRef, MatchOIDCIdentity: verify.MatchOIDCIdentity}
	}
	return chart
}

// deleteSource deletes the source that was made for the HelmRelease, if it is
// still its own.
func (c *Controller) deleteSource(ctx context.Context, s *scope) error {
	ref := s.obj.Status.GetChart()
	source := newSource(ref.Kind)
	if source == nil {
		s.obj.Status.SetChart(helmv2.ChartReference{})
		return nil
	}
	err := c.Live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, source)
	if err == nil && ownerOf(source) == s.obj.Namespace+"/"+s.obj.Name {
		uid := source.GetUID()
		err = c.Client.Delete(ctx, source, client.Preconditions{UID: &uid})
		if err == nil {
			c.event(s, corev1.EventTypeNormal, helmv2.HelmChartDeletedReason, fmt.Sprintf("deleted %s '%s/%s'", ref.Kind, ref.Namespace, ref.Name))
		}
	}
	if err := client.IgnoreNotFound(err); err != nil {
		return reconcile.Fail(helmv2.ArtifactFailedReason, fmt.Errorf("delete %s '%s/%s': %w", ref.Kind, ref.Namespace, ref.Name, err))
	}
	s.obj.Status.SetChart(helmv2.ChartReference{})
	return nil
}
