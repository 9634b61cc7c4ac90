// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// Reasons that Flux's API module has no constants for.
const (
	// sourceUnavailableReason says that the source does not exist, or cannot
	// be read.
	sourceUnavailableReason = "SourceUnavailable"
	// unsupportedSourceKindReason says that charts do not come from objects of
	// this kind.
	unsupportedSourceKindReason = "UnsupportedSourceKind"
	// noSourceArtifactReason says that the source has nothing yet.
	noSourceArtifactReason = sourcev1.NoSourceArtifactReason
)

// validate stalls objects that no retry can help, and fills settled.
func (c *Controller) validate(_ context.Context, s *scope) error {
	if err := artifact.Unsupported(artifact.Field{Name: "spec.verify", Used: s.obj.Spec.Verify != nil}); err != nil {
		return err
	}
	switch kind := s.obj.Spec.SourceRef.Kind; kind {
	case sourcev1.HelmRepositoryKind, sourcev1.GitRepositoryKind:
	default:
		err := fmt.Errorf("failed to get source: unsupported source kind '%s', must be one of: %s, %s",
			kind, sourcev1.HelmRepositoryKind, sourcev1.GitRepositoryKind)
		return s.Stall(sourcev1.FetchFailedCondition, unsupportedSourceKindReason, err)
	}
	// What Flux may have left from a spec with this field.
	conditions.Delete(s.obj, sourcev1.SourceVerifiedCondition)
	s.settled = isSettled(s.obj) && !s.Requested()
	return nil
}

// isSettled reports whether the artifact was made from the present generation,
// and nothing went wrong since.
func isSettled(obj *sourcev1.HelmChart) bool {
	for _, failed := range []string{
		sourcev1.FetchFailedCondition, sourcev1.BuildFailedCondition, sourcev1.StorageOperationFailedCondition, sourcev1.ArtifactOutdatedCondition,
	} {
		if conditions.IsTrue(obj, failed) {
			return false
		}
	}
	return obj.Status.ObservedGeneration == obj.Generation && conditions.IsTrue(obj, sourcev1.ArtifactInStorageCondition)
}

// find reads the source, which has to have an artifact unless it is a registry.
func (c *Controller) find(ctx context.Context, s *scope) error {
	ref := s.obj.Spec.SourceRef
	var obj client.Object
	if ref.Kind == sourcev1.GitRepositoryKind {
		repo := &sourcev1.GitRepository{}
		obj, s.source = repo, repo
	} else {
		repo := &sourcev1.HelmRepository{}
		obj, s.source = repo, repo
	}
	err := c.Sources.Get(ctx, client.ObjectKey{Namespace: s.obj.Namespace, Name: ref.Name}, obj)
	if apierrors.IsNotFound(err) {
		err = fmt.Errorf("%s '%s/%s' does not exist", ref.Kind, s.obj.Namespace, ref.Name)
	}
	if err != nil {
		return s.Fail(sourcev1.FetchFailedCondition, sourceUnavailableReason, fmt.Errorf("failed to get source: %w", err))
	}
	if isRegistry(s.source) {
		s.obj.Status.ObservedSourceArtifactRevision = ""
		return nil
	}
	if s.source.GetArtifact() == nil {
		return c.wait(s)
	}
	if revision := s.source.GetArtifact().Revision; revision != s.obj.Status.ObservedSourceArtifactRevision {
		s.settled = false
		s.obj.Status.ObservedSourceArtifactRevision = revision
	}
	return nil
}

// wait says that the source has no artifact now. When it has, that wakes the
// object.
func (c *Controller) wait(s *scope) error {
	ref := s.obj.Spec.SourceRef
	err := fmt.Errorf("no artifact available for %s source '%s'", ref.Kind, ref.Name)
	conditions.MarkTrue(s.obj, sourcev1.FetchFailedCondition, noSourceArtifactReason, "%s", err)
	return reconcile.Wait(c.Requeue, noSourceArtifactReason, err)
}
