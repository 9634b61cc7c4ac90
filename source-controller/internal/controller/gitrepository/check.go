// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"errors"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// announce shows that a new generation, or a request, is being worked on.
// Plain polls write nothing.
func (c *Controller) announce(ctx context.Context, s *scope) error {
	switch generation, observed := s.obj.Generation, s.obj.Status.ObservedGeneration; {
	case generation != observed:
		reconcile.MarkProgressing(s.obj, fluxmeta.ProgressingReason,
			fmt.Sprintf("processing object: new generation %d -> %d", observed, generation))
	case s.requested:
		reconcile.MarkProgressing(s.obj, fluxmeta.ProgressingReason, "reconciliation in progress")
	default:
		return nil
	}
	return s.patcher.Status(ctx)
}

// checkStorage collects what is past its retention and makes sure that the
// artifact of the status is on disk and intact. One that is not leaves the
// status, so that nobody asks for it while it is built anew.
func (c *Controller) checkStorage(ctx context.Context, s *scope) error {
	c.collect(ctx, s)
	missing, err := c.missing(ctx, s)
	if err != nil {
		conditions.MarkTrue(s.obj, sourcev1.StorageOperationFailedCondition, sourcev1.ReadOperationFailedReason, "%s", err)
		return reconcile.Fail(sourcev1.ReadOperationFailedReason, err)
	}
	conditions.Delete(s.obj, sourcev1.StorageOperationFailedCondition)
	if artifact := s.obj.Status.Artifact; artifact != nil && !missing {
		c.Storage.SetURL(artifact)
		return nil
	}
	message := "building artifact"
	if missing {
		message += ": disappeared from storage"
	}
	s.obj.Status.Artifact = nil
	conditions.Delete(s.obj, sourcev1.ArtifactInStorageCondition)
	if conditions.IsReady(s.obj) {
		// Ready promises an artifact.
		conditions.MarkUnknown(s.obj, fluxmeta.ReadyCondition, fluxmeta.ProgressingReason, "%s", message)
	}
	return s.progress(ctx, message)
}

// collect removes old artifacts. Its failure is no reason to stop: the next
// reconcile tries again.
func (c *Controller) collect(ctx context.Context, s *scope) {
	count, err := c.Storage.Collect(s.owner(), s.obj.Status.Artifact)
	if err != nil {
		c.collectFailed(ctx, s.obj, err)
	}
	if count > 0 {
		c.collected(s, count)
	}
}

// missing reports whether the status names an artifact that is not there. A
// damaged one is removed.
func (c *Controller) missing(ctx context.Context, s *scope) (bool, error) {
	artifact := s.obj.Status.Artifact
	if artifact == nil {
		return false, nil
	}
	err := c.Storage.Verify(ctx, s.owner(), artifact)
	switch {
	case errors.Is(err, storage.ErrMissing):
		return true, nil
	case errors.Is(err, storage.ErrMismatch):
		c.damaged(s, err)
		return true, c.Storage.Remove(s.owner(), artifact)
	}
	return false, err
}
