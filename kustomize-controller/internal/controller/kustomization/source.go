// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const gitRepositoryKind = sourcev1.GitRepositoryKind

// findSource reads the source and its artifact. A source that is not there or
// has nothing to offer is waited for; its events wake us.
func (c *Controller) findSource(ctx context.Context, s *scope) error {
	key := client.ObjectKey{Namespace: s.obj.GetSourceNamespace(), Name: s.obj.Spec.SourceRef.Name}
	source := &sourcev1.GitRepository{}
	err := c.Client.Get(ctx, key, source)
	if apierrors.IsNotFound(err) {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason,
			fmt.Errorf("%s '%s' not found; create it, or mend spec.sourceRef", gitRepositoryKind, key))
	}
	if err != nil {
		return reconcile.Fail(kustomizev1.ArtifactFailedReason, fmt.Errorf("read %s %s: %w", gitRepositoryKind, key, err))
	}
	if source.GetArtifact() == nil {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason,
			fmt.Errorf("source is not ready: %s '%s' has no artifact", gitRepositoryKind, key))
	}
	s.source, s.artifact = source, source.GetArtifact()
	return nil
}

// fetch unpacks the artifact. One that is gone has been replaced, or will be
// when source-controller is back.
func (c *Controller) fetch(ctx context.Context, s *scope) error {
	if !s.full {
		return nil
	}
	s.obj.Status.LastAttemptedRevision = s.artifact.Revision
	tree, err := c.Artifacts.Open(ctx, s.source.GetUID(), s.artifact)
	if errors.Is(err, artifact.ErrNotFound) {
		return reconcile.Wait(c.Options.RequeueDependency, kustomizev1.ArtifactFailedReason, err)
	}
	if err != nil {
		return reconcile.Fail(kustomizev1.ArtifactFailedReason, err)
	}
	s.tree = tree
	return nil
}
