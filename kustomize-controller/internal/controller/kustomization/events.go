// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Keys of the metadata of events, besides those that Flux's tools know.
const (
	revisionKey       = "kustomize.toolkit.fluxcd.io/revision"
	originRevisionKey = "kustomize.toolkit.fluxcd.io/originRevision"
	commitStatusKey   = "kustomize.toolkit.fluxcd.io/commit_status"
)

// maxListed is how many objects one event names.
const maxListed = 20

func (c *Controller) event(s *scope, eventType, reason, message string) {
	metadata := map[string]string{}
	if s.artifact != nil {
		metadata[revisionKey] = s.artifact.Revision
		if origin := s.artifact.Metadata[originRevision]; origin != "" {
			metadata[originRevisionKey] = origin
		}
	}
	if reason == kustomizev1.ReconciliationSucceededReason {
		metadata[commitStatusKey] = "update"
	}
	c.Events.AnnotatedEventf(s.obj, nil, metadata, eventType, reason, "Reconcile", "%s", message)
}

// applied tells which objects the apply has changed.
func (c *Controller) applied(s *scope) {
	var lines []string
	for _, change := range s.changes {
		if change.Action != apply.Unchanged && change.Action != apply.Skipped {
			lines = append(lines, change.String())
		}
	}
	if len(lines) > 0 {
		s.memory.run.notable = true
		c.event(s, corev1.EventTypeNormal, kustomizev1.ProgressingReason, abridge(lines))
	}
}

// pruned tells which objects were deleted.
func (c *Controller) pruned(s *scope, deleted []inventory.Ref) {
	if len(deleted) == 0 {
		return
	}
	lines := make([]string, len(deleted))
	for i, ref := range deleted {
		lines[i] = ref.String() + " deleted"
	}
	s.memory.run.notable = true
	c.event(s, corev1.EventTypeNormal, kustomizev1.ProgressingReason, abridge(lines))
}

// corrected tells what somebody changed by hand, who that was as far as the
// API server knows, and that it was put back.
func (c *Controller) corrected(s *scope) {
	c.Metrics.Corrected(s.obj, len(s.drift.Corrected))
	for _, correction := range s.drift.Corrected {
		c.event(s, corev1.EventTypeNormal, kustomizev1.DriftCorrectedReason, correction.String())
	}
}

// unwatched tells which kinds are polled, and why drift of theirs is seen later.
func (c *Controller) unwatched(s *scope, kinds string) {
	message := "All kinds are watched again"
	if kinds != "" {
		message = fmt.Sprintf("%s may not be watched by this controller: drift and health are looked at every %s; grant it list and watch to be told at once", kinds, pollInterval)
	}
	c.event(s, corev1.EventTypeNormal, kustomizev1.ProgressingReason, message)
}

// succeeded tells that a revision has become ready.
func (c *Controller) succeeded(s *scope) {
	c.event(s, corev1.EventTypeNormal, kustomizev1.ReconciliationSucceededReason,
		fmt.Sprintf("Reconciliation finished, next run in %s", s.obj.Spec.Interval.Duration))
}

// failed tells why a revision is not ready.
func (c *Controller) failed(s *scope, reason, message string) {
	c.event(s, corev1.EventTypeWarning, reason, message)
}

func abridge(lines []string) string {
	if rest := len(lines) - maxListed; rest > 0 {
		lines = append(lines[:maxListed:maxListed], fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(lines, "\n")
}

// left tells that objects stay behind on a cluster that the spec no longer
// names.
func (c *Controller) left(s *scope, name string) {
	if name == cluster.Local {
		name = "this cluster"
	} else {
		name = "the cluster at " + name
	}
	c.event(s, corev1.EventTypeNormal, kustomizev1.ProgressingReason,
		"spec.kubeConfig leads to another cluster now; what was applied to "+name+" is left there")
}
