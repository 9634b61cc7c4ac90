// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// findSource reads the source and its artifact. A source that is not there or
// has nothing to offer is waited for; its events wake us.
func (c *Controller) findSource(ctx context.Context, s *scope) error {
	ref, key := s.obj.Spec.SourceRef, sourceName(s.obj)
	source := newSource(ref.Kind)
	if source == nil {
		return reconcile.Stalled(kustomizev1.UnsupportedFieldReason, fmt.Errorf("spec.sourceRef.kind %q is not a kind of source", ref.Kind))
	}
	err := c.readSource(ctx, key, source)
	if apimeta.IsNoMatchError(err) {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason,
			fmt.Errorf("this cluster has no kind %s; install its CustomResourceDefinition and a controller for it, or mend spec.sourceRef", ref.Kind))
	}
	if watchErr := c.watchSources(ref.Kind); watchErr != nil {
		return reconcile.Fail(kustomizev1.ArtifactFailedReason, watchErr)
	}
	if apierrors.IsNotFound(err) {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason,
			fmt.Errorf("%s '%s' not found; create it, or mend spec.sourceRef", ref.Kind, key))
	}
	if err != nil {
		return reconcile.Fail(kustomizev1.ArtifactFailedReason, fmt.Errorf("read %s %s: %w", ref.Kind, key, err))
	}
	if source.GetArtifact() == nil {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason,
			fmt.Errorf("source is not ready: %s '%s' has no artifact", ref.Kind, key))
	}
	s.source, s.artifact = source, source.GetArtifact()
	return nil
}

// readSource reads a source from the cache, or live if the options say so.
func (c *Controller) readSource(ctx context.Context, key client.ObjectKey, source client.Object) error {
	if c.Options.DirectSourceFetch {
		return c.Live.Get(ctx, key, source)
	}
	return c.Client.Get(ctx, key, source)
}

// fetch unpacks the artifact. One that is gone has been replaced, or will be
// when source-controller is back.
func (c *Controller) fetch(ctx context.Context, s *scope) error {
	if !s.full {
		return nil
	}
	s.obj.Status.LastAttemptedRevision = s.artifact.Revision
	err := c.open(ctx, s)
	if errors.Is(err, artifact.ErrNotFound) {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason, err)
	}
	if err != nil {
		return reconcile.Fail(kustomizev1.ArtifactFailedReason, err)
	}
	return nil
}
