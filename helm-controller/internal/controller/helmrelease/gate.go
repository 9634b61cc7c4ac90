// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// refusedAgain is when a refused release asks again if nobody answers before.
const refusedAgain = 5 * time.Minute

// gated is what an action was told. It is read when the action has ended.
type gated struct{ warnings string }

// question is what an action asks with: nothing of the reconcile that began it,
// which goes on.
type question struct {
	request   gate.Request
	mayBefore bool
	options   apply.Options
	told      *gated
	// unavailable is when to ask again if nobody answers.
	unavailable time.Duration
}

// gate has an action ask for the devices that it adds before it writes.
func (c *Controller) gate(s *scope, obj *helmv2.HelmRelease) func(context.Context, []*unstructured.Unstructured, []*unstructured.Unstructured) error {
	target, q := s.target, question{
		request: gate.Request{
			Kind: helmv2.HelmReleaseKind, Namespace: obj.Namespace, Name: obj.Name, UID: obj.UID,
			Remote: s.target.Remote(), Revision: revisionOf(s.want),
		},
		mayBefore:   s.asked,
		options:     apply.Options{Client: s.client},
		told:        s.memory.gated,
		unavailable: min(refusedAgain, c.Options.RequeueDependency),
	}
	owner := s.owner()
	return func(ctx context.Context, before, after []*unstructured.Unstructured) error {
		change, err := target.Engine.Foresee(ctx, target.Engine.Set(owner, obj.UID), before, after, q.options)
		if err != nil {
			return fmt.Errorf("find out which devices the release asks for: %w", err)
		}
		q.request.Change = change
		return q.ask(ctx, target.Gate, len(after))
	}
}

// ask returns nil if the release may be made. What asks for no more than before
// always may.
func (q *question) ask(ctx context.Context, asker *gate.Client, objects int) error {
	change := q.request.Change
	if !change.Grows() {
		if err := asker.Withdraw(ctx, q.request.UID, change.Shrinks(), q.mayBefore); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "a request for devices is left behind")
		}
		return nil
	}
	verdict, err := asker.Ask(ctx, q.request)
	if gate.IsUnavailable(err) {
		return q.refuse(helmv2.GPUQuotaUnavailableReason, err.Error(), objects, q.unavailable)
	}
	if err != nil {
		return err
	}
	switch verdict.Answer {
	case gate.Granted:
		if verdict.ShrinkFirst {
			return q.refuse(helmv2.GPUQuotaExceededReason, wholeText(change), objects, refusedAgain)
		}
		q.told.warnings = strings.Join(verdict.Warnings, "; ")
		return nil
	case gate.NeverFits:
		return q.refuse(helmv2.GPUQuotaNeverFitsReason, verdict.Text, objects, refusedAgain)
	case gate.Waiting:
	}
	return q.refuse(helmv2.GPUQuotaExceededReason, verdict.Text, objects, refusedAgain)
}

// wholeText is for a release that would fit if what it gives up were free: Helm
// makes a release as a whole, so that cannot come first.
func wholeText(change gate.Change) string {
	return fmt.Sprintf("it fits only once the GPUs of %s are free, and a release cannot give up first and add later; reduce these in a change of their own first",
		gate.Listed(change.Shrinkers()))
}

func (q *question) refuse(reason, why string, objects int, after time.Duration) error {
	return reconcile.Wait(after, reason, errors.New(gate.Refusal(helmv2.HelmReleaseKind, q.request.Revision, why, q.request.Change, objects)))
}

// revisionOf names what is released: the chart, and which values.
func revisionOf(want state.Desired) string {
	_, digest, _ := strings.Cut(want.ConfigDigest, ":")
	return fmt.Sprintf("%s@%s (values %s)", want.Chart.Name, want.Chart.Version, digest[:min(len(digest), shortDigest)])
}

const shortDigest = 8

// mayHaveAsked reports whether the status says that a request for devices was
// made, maybe by an earlier process.
func mayHaveAsked(obj *helmv2.HelmRelease) bool {
	switch conditions.GetReason(obj, helmv2.ReadyCondition) {
	case helmv2.GPUQuotaExceededReason, helmv2.GPUQuotaNeverFitsReason, helmv2.GPUQuotaUnavailableReason:
		return true
	}
	return false
}

// warnOnce tells, once, of limits that are exceeded and do not hold.
func (c *Controller) warnOnce(s *scope, text string) {
	if text != "" && text != s.memory.warned {
		c.event(s, corev1.EventTypeNormal, helmv2.GPUQuotaWarningReason, text)
	}
	s.memory.warned = text
}

// withdraw takes back what a HelmRelease has asked for that is going away. On the
// local cluster the leader sees that itself, so nothing depends on it.
func (c *Controller) withdraw(ctx context.Context, s *scope) {
	if s.target == nil && s.obj.Spec.KubeConfig == nil {
		s.target = c.Clusters.Local()
	}
	if s.target == nil || s.target.Gate == nil {
		return
	}
	if err := s.target.Gate.Withdraw(ctx, s.obj.UID, true, s.asked); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "a request for devices is left behind")
	}
}
