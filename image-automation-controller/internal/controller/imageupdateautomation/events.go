// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"fmt"
	"strings"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	corev1 "k8s.io/api/core/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
)

// Keys of the metadata of events. Alerts keep those with this prefix.
const (
	eventKeyPrefix   = "image.toolkit.fluxcd.io/"
	eventRevisionKey = eventKeyPrefix + eventv1.MetaRevisionKey
	eventCommitKey   = eventKeyPrefix + "commit"
	actionReconcile  = "Reconcile"
	actionPush       = "Push"
	actionPropose    = "Propose"
	actionHold       = "Hold"
)

// pushed tells which commit was pushed, and its message without trailers.
func (c *Controller) pushed(s *scope, result *plan.Result) {
	commit, target := s.obj.Status.LastPushCommit, s.run.target
	message := fmt.Sprintf("pushed commit '%s' to branch '%s'", commit[:min(7, len(commit))], target.Branch)
	if target.Refspec != "" {
		message += " and refspecs '" + target.Refspec + "'"
	}
	if text := strings.TrimSpace(result.Message); text != "" {
		message += "\n" + text
	}
	metadata := map[string]string{eventRevisionKey: target.Branch + "@sha1:" + commit, eventCommitKey: commit}
	c.Events.AnnotatedEventf(s.obj, nil, metadata, corev1.EventTypeNormal, imagev1.SucceededReason, actionPush, "%s", message)
	c.Figures.commit(s.name)
	s.run.told = true
}

// succeeded tells that a failure is over, unless a push has told it.
func (c *Controller) succeeded(s *scope) {
	if s.run != nil && s.run.told {
		return
	}
	c.Events.Eventf(s.obj, nil, corev1.EventTypeNormal, imagev1.SucceededReason, actionReconcile, "%s", upToDate)
}

// failed tells why a run failed.
func (c *Controller) failed(s *scope, reason, message string) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, reason, actionReconcile, "%s", message)
}

// held tells of a candidate that is newly kept out of Git.
func (c *Controller) held(s *scope, h *plan.Hold, text string) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, h.Reason, actionHold, "%s", text)
}

// proposed tells what became of the pull request.
func (c *Controller) proposed(s *scope, what string, pr *imagev1.PullRequestStatus) {
	metadata := map[string]string{}
	if pr.Head != "" {
		metadata[eventCommitKey] = pr.Head
	}
	c.Events.AnnotatedEventf(s.obj, nil, metadata, corev1.EventTypeNormal, imagev1.SucceededReason, actionPropose,
		"%s pull request #%d: %s", what, pr.Number, pr.URL)
}
