// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"context"
	"fmt"
	"maps"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/pkg/redact"
)

// EventKeyPrefix begins the keys of the metadata of events. Alerts keep those
// with this prefix.
const EventKeyPrefix = "source.toolkit.fluxcd.io/"

const (
	eventRevisionKey    = EventKeyPrefix + eventv1.MetaRevisionKey
	eventDigestKey      = EventKeyPrefix + eventv1.MetaDigestKey
	gcFailedReason      = "GarbageCollectionFailed"
	deletedMessage      = "garbage collected artifacts for deleted resource"
	actionReconcile     = "Reconcile"
	actionGarbage       = "GarbageCollect"
	actionVerifyStorage = "ReconcileStorage"
)

// succeeded tells that a new artifact is stored, or that the old one is again
// known to be right after a failure. A poll without news is no event.
func (s *Source) succeeded() {
	artifact := s.Artifact()
	reason := fluxmeta.SucceededReason
	switch {
	case artifact == nil:
		return
	case !s.before.HasDigest(artifact.Digest):
		reason = s.outcome.EventReason
	case !s.failing:
		return
	}
	metadata := map[string]string{eventRevisionKey: artifact.Revision, eventDigestKey: artifact.Digest}
	maps.Copy(metadata, s.outcome.Metadata)
	s.keeper.Events.AnnotatedEventf(s.Object, nil, metadata, corev1.EventTypeNormal, reason, actionReconcile, "%s", redact.String(s.outcome.Event))
}

// failed tells why there is no artifact of the present state.
func (s *Source) failed(reason, message string) {
	s.keeper.Events.Eventf(s.Object, nil, corev1.EventTypeWarning, reason, actionReconcile, "%s", message)
}

// damaged tells that the stored artifact was not what it should be.
func (s *Source) damaged(err error) {
	s.keeper.Events.Eventf(s.Object, nil, corev1.EventTypeWarning, sourcev1.ArtifactVerificationFailedReason, actionVerifyStorage,
		"failed to verify integrity of artifact: %s", redact.Error(err))
}

// collected tells how many old artifacts were removed.
func (s *Source) collected(count int) {
	s.keeper.Events.Eventf(s.Object, nil, eventv1.EventTypeTrace, sourcev1.GarbageCollectionSucceededReason, actionGarbage,
		"garbage collected %d artifacts", count)
}

// collectFailed tells that old artifacts could not be removed.
func (k *Keeper) collectFailed(ctx context.Context, obj runtime.Object, err error) {
	err = fmt.Errorf("garbage collection of artifacts failed: %w", err)
	ctrl.LoggerFrom(ctx).Error(err, "old artifacts stay on disk")
	k.Events.Eventf(obj, nil, corev1.EventTypeWarning, gcFailedReason, actionGarbage, "%s", redact.Error(err))
}

// removed tells that the artifacts of a deleted object are gone.
func (k *Keeper) removed(obj runtime.Object) {
	k.Events.Eventf(obj, nil, eventv1.EventTypeTrace, sourcev1.GarbageCollectionSucceededReason, actionGarbage, deletedMessage)
}

// Shorten cuts text to a number of characters and marks that it did.
func Shorten(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "..."
	}
	return text
}
