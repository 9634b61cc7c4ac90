// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"fmt"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/pkg/redact"
)

// eventSubject is how many characters of a commit's subject an event shows.
const eventSubject = 50

// Keys of the metadata of events. Alerts keep those with this prefix.
const (
	eventKeyPrefix      = "source.toolkit.fluxcd.io/"
	eventRevisionKey    = eventKeyPrefix + eventv1.MetaRevisionKey
	eventDigestKey      = eventKeyPrefix + eventv1.MetaDigestKey
	eventAuthorKey      = eventKeyPrefix + "author"
	gcFailedReason      = "GarbageCollectionFailed"
	deletedMessage      = "garbage collected artifacts for deleted resource"
	actionReconcile     = "Reconcile"
	actionGarbage       = "GarbageCollect"
	actionVerifyStorage = "ReconcileStorage"
)

// succeeded tells that a new artifact is stored, or that the old one is again
// known to be right after a failure. A poll without news is no event.
func (c *Controller) succeeded(s *scope) {
	artifact := s.obj.Status.Artifact
	reason := fluxmeta.SucceededReason
	switch {
	case !s.before.HasDigest(artifact.Digest):
		reason = sourcev1.NewArtifactReason
	case !s.failing:
		return
	}
	metadata := map[string]string{eventRevisionKey: artifact.Revision, eventDigestKey: artifact.Digest}
	commit := artifact.Revision
	if s.subject != "" {
		commit = shorten(s.subject, eventSubject)
	}
	if s.author != "" {
		metadata[eventAuthorKey] = s.author
	}
	c.Events.AnnotatedEventf(s.obj, nil, metadata, corev1.EventTypeNormal, reason, actionReconcile,
		"stored artifact for commit '%s'", commit)
}

// failed tells why there is no artifact of the present state.
func (c *Controller) failed(s *scope, reason, message string) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, reason, actionReconcile, "%s", message)
}

// damaged tells that the stored artifact was not what it should be.
func (c *Controller) damaged(s *scope, err error) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, sourcev1.ArtifactVerificationFailedReason, actionVerifyStorage,
		"failed to verify integrity of artifact: %s", redact.Error(err))
}

// collected tells how many old artifacts were removed.
func (c *Controller) collected(s *scope, count int) {
	c.Events.Eventf(s.obj, nil, eventv1.EventTypeTrace, sourcev1.GarbageCollectionSucceededReason, actionGarbage,
		"garbage collected %d artifacts", count)
}

// collectFailed tells that old artifacts could not be removed.
func (c *Controller) collectFailed(ctx context.Context, obj *sourcev1.GitRepository, err error) {
	err = fmt.Errorf("garbage collection of artifacts failed: %w", err)
	ctrl.LoggerFrom(ctx).Error(err, "old artifacts stay on disk")
	c.Events.Eventf(obj, nil, corev1.EventTypeWarning, gcFailedReason, actionGarbage, "%s", redact.Error(err))
}

// removed tells that the artifacts of a deleted object are gone.
func (c *Controller) removed(obj *sourcev1.GitRepository) {
	c.Events.Eventf(obj, nil, eventv1.EventTypeTrace, sourcev1.GarbageCollectionSucceededReason, actionGarbage, deletedMessage)
}
