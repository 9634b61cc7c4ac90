// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"fmt"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/cluster"
)

// maxListed is how many objects one event names.
const maxListed = 20

// event tells of something, with what was last tried to release as metadata.
func (c *Controller) event(s *scope, eventType, reason, message string) {
	status := &s.obj.Status
	c.send(s, eventType, reason, message, map[string]string{
		"revision": status.LastAttemptedRevision, "token": status.LastAttemptedConfigDigest, "oci-digest": status.LastAttemptedRevisionDigest,
	})
}

func (c *Controller) warn(s *scope, reason, message string) {
	c.event(s, corev1.EventTypeWarning, reason, message)
}

func (c *Controller) send(s *scope, eventType, reason, message string, about map[string]string) {
	metadata := map[string]string{}
	for key, value := range about {
		if value != "" {
			metadata[helmv2.GroupVersion.Group+"/"+key] = value
		}
	}
	c.Events.AnnotatedEventf(s.obj, nil, metadata, eventType, reason, "Reconcile", "%s", message)
}

// told tells how an action has ended. That of a failure has Helm's last words.
func (c *Controller) told(s *scope, e *state.Event) {
	eventType, message := corev1.EventTypeNormal, e.Message
	if e.Failure {
		eventType = corev1.EventTypeWarning
		if len(e.Logs) > 0 {
			message += "\n\nLast Helm logs:\n\n" + strings.Join(e.Logs, "\n")
		}
	}
	c.send(s, eventType, e.Reason, message, e.Metadata)
}

// corrected tells what somebody changed by hand, who that was as far as the API
// server knows, and that it was put back.
func (c *Controller) corrected(s *scope, corrections []apply.Correction) {
	lines := make([]string, 0, len(corrections))
	for _, correction := range corrections[:min(len(corrections), maxListed)] {
		lines = append(lines, correction.String())
	}
	if rest := len(corrections) - maxListed; rest > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", rest))
	}
	c.event(s, corev1.EventTypeNormal, helmv2.DriftCorrectedReason,
		fmt.Sprintf("Cluster state of release %s has been corrected:\n%s", s.releaseName(), strings.Join(lines, "\n")))
}

// unwatched tells which kinds are polled, and why drift of theirs is seen later.
func (c *Controller) unwatched(s *scope, kinds string) {
	message := "All kinds are watched again"
	if kinds != "" {
		message = kinds + " may not be watched by this controller: drift is looked for every few seconds; grant it list and watch to be told at once"
	}
	c.event(s, corev1.EventTypeNormal, fluxmeta.ProgressingReason, message)
}

// left tells that a release stays behind on a cluster that the spec no longer
// names.
func (c *Controller) left(s *scope, name string) {
	if name == cluster.Local {
		name = "this cluster"
	} else {
		name = "the cluster at " + name
	}
	c.event(s, corev1.EventTypeNormal, fluxmeta.ProgressingReason,
		"spec.kubeConfig leads to another cluster now; the release on "+name+" is left there")
}
