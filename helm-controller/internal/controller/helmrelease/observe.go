// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// errRunning says that an action is under way.
var errRunning = errors.New("an action is under way")

// observe looks at what Helm has stored, and finds out what is to be done. While
// an action is under way nothing is, but what is newer cuts its wait short.
func (c *Controller) observe(ctx context.Context, s *scope) error {
	if s.memory.running != nil {
		c.interrupt(s)
		return errRunning
	}
	if planOnly(s.obj) {
		return nil
	}
	if err := c.readHistory(ctx, s); err != nil {
		return err
	}
	seen := state.Observed{History: s.history}
	state.Refresh(s.obj, seen)
	if outcome, ok := state.Resume(s.obj, s.want, seen); ok {
		c.record(s, outcome)
	}
	c.beginRound(s)
	found := state.Of(s.obj, s.want, seen)
	state.Settle(s.obj, found)
	s.step = state.Next(s.obj, found, s.memory.done)
	return nil
}

// interrupt cuts the wait of the action under way short if what it is for is not
// wanted any more.
func (c *Controller) interrupt(s *scope) {
	reason := state.Outdated(s.obj, s.want)
	if reason == "" || c.Options.FinishWaits || s.memory.trigger != "" {
		return
	}
	s.memory.trigger = fmt.Sprintf("%s/%s/%s", helmv2.HelmReleaseKind, s.obj.Namespace, s.obj.Name)
	if reason == state.NewChart {
		ref := s.obj.GetChartReference()
		s.memory.trigger = fmt.Sprintf("%s/%s/%s", ref.Kind, ref.Namespace, ref.Name)
	}
	c.Runner.Cancel(s.owner(), reason)
}

// beginRound begins anew if there is something that was not tried yet, if
// somebody asks for it, or if it is time to.
func (c *Controller) beginRound(s *scope) {
	m := s.memory
	again := c.waker.takeAgain(s.owner())
	due := !m.retryAt.IsZero() && !s.now.Before(m.retryAt)
	if state.ResetFailures(s.obj, s.want) != "" || s.requested || again || due {
		m.begin()
	}
}

// readHistory reads the releases that Helm has stored, once in a reconcile.
func (c *Controller) readHistory(ctx context.Context, s *scope) error {
	if s.history != nil {
		return nil
	}
	records, err := c.records(ctx, s, s.obj.GetStorageNamespace()).History(s.obj.GetReleaseName())
	if err != nil {
		return reconcile.Fail(helmv2.StateErrorReason, fmt.Errorf("could not determine release state: %w", err))
	}
	s.history = make([]*release.Release, 0, len(records))
	for _, record := range records {
		s.history = append(s.history, record.Release)
	}
	return nil
}

// records are those of a namespace, read and written by the tenant.
func (c *Controller) records(ctx context.Context, s *scope, namespace string) *storage.Records {
	return c.Stores.of(s.target.Remote()).For(ctx, s.client.Dynamic, namespace)
}

// Stores have the releases that Helm has stored.
type Stores struct {
	// Local ones are on the cluster that the controller runs in, and Remote ones on
	// any other.
	Local, Remote *storage.Store
}

func (s *Stores) of(remote bool) *storage.Store {
	if remote {
		return s.Remote
	}
	return s.Local
}

// retryLater waits until the next round, with the failure on show.
func (s *scope) retryLater() error {
	m := s.memory
	if m.failure == nil {
		m.retryAt = s.now.Add(s.step.Retry)
		m.failure = s.shownFailure()
	}
	return wait(m, s.now)
}

// wait is the failure of the last try, until the next one.
func wait(m *memory, now time.Time) error {
	after := max(m.retryAt.Sub(now), time.Millisecond)
	if e, ok := errors.AsType[*reconcile.Error](m.failure); ok {
		return &reconcile.Error{Kind: e.Kind, Reason: e.Reason, Err: e.Err, After: after}
	}
	return m.failure
}

// shownFailure is what the conditions say of the last actions.
func (s *scope) shownFailure() error {
	status, reason, message := state.Summary(s.obj)
	if status != metav1.ConditionFalse {
		reason, message = fluxmeta.ProgressingReason, s.step.Reason
	}
	return reconcile.Wait(0, reason, errors.New(message))
}

// shown is the reason and message that a HelmRelease gives for how it is.
func shown(obj *helmv2.HelmRelease) string {
	return conditions.GetReason(obj, helmv2.ReadyCondition) + conditions.GetMessage(obj, helmv2.ReadyCondition)
}
