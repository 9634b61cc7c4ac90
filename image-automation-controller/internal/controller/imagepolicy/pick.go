// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"context"
	"errors"
	"fmt"
	"math"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

var (
	errReading = errors.New("reading the tags again, which are no longer at hand")
	errNoTags  = errors.New("no tags in database")
)

// readTags fills key and tags: those of the last scan, however old it is. If
// they are lost, as with an empty disk, they are read again.
func (c *Controller) readTags(ctx context.Context, s *scope) error {
	target, err := c.Targets.Of(ctx, s.repo)
	if err != nil {
		reason, stalled := scan.ReasonOf(err)
		err = fmt.Errorf("failed to read what the referenced ImageRepository asks for: %w", err)
		if stalled {
			return s.lost(reconcile.Stalled(reason, err))
		}
		return reconcile.Fail(reason, err)
	}
	if target.Repository.String() != s.repo.Status.CanonicalImageName {
		// Its status is still about another image. What was picked of that one
		// stays until there is something of this one.
		return reconcile.Wait(0, imagev1.DependencyNotReadyReason, errNotScanned)
	}
	name := s.req.NamespacedName
	result, _, err := c.Scanner.Get(target.Key, math.MaxInt64, owner(s.req), func() { c.Waker.Wake(name) })
	switch {
	case result != nil:
	case err != nil:
		reason, _ := scan.ReasonOf(err)
		return reconcile.Fail(reason, fmt.Errorf("scan failed: %w", err))
	default:
		return reconcile.Progress(0, fluxmeta.ProgressingReason, errReading)
	}
	s.key = target.Key
	s.tags, _ = result.Select(target.Exclude)
	return nil
}

// pick fills the tag of latest.
func (c *Controller) pick(ctx context.Context, s *scope) error {
	if len(s.tags) == 0 {
		return s.lost(reconcile.Fail(imagev1.DependencyNotReadyReason, errNoTags))
	}
	tag, err := s.policy.Latest(ctx, s.tags)
	switch {
	case errors.Is(err, policy.ErrNone):
		return s.lost(reconcile.Fail(metav1.StatusFailure, err))
	case err != nil:
		return reconcile.Fail(metav1.StatusFailure, err)
	}
	s.latest = imagev1.ImageRef{Name: s.repo.Spec.Image, Tag: tag}
	return nil
}

// settle sets the status to what was picked.
func (c *Controller) settle(_ context.Context, s *scope) error {
	if s.before != nil && *s.before != s.latest {
		s.obj.Status.ObservedPreviousRef = s.before
	}
	s.obj.Status.LatestRef = &s.latest
	return nil
}

// readyMessage says what was picked, and what before.
func readyMessage(status *imagev1.ImagePolicyStatus) string {
	if status.LatestRef == nil {
		return ""
	}
	message := fmt.Sprintf("Latest image tag for %s resolved to %s", status.LatestRef.Name, status.LatestRef.Tag)
	if status.LatestRef.Digest != "" {
		message += " with digest " + status.LatestRef.Digest
	}
	if status.ObservedPreviousRef != nil {
		message += fmt.Sprintf(" (previously %s)", status.ObservedPreviousRef)
	}
	return message
}
