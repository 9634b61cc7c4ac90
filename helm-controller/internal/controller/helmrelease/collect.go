// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/redact"
)

// collect writes down how the last action has ended, if one has since. It comes
// before everything that can fail.
func (c *Controller) collect(ctx context.Context, s *scope) error {
	outcome, ended := c.Runner.Take(s.owner())
	if !ended || s.memory.running == nil {
		return nil // or it is that of a HelmRelease of this name which is no more
	}
	c.take(ctx, s, outcome)
	return nil
}

// conclude is for a HelmRelease that was suspended while an action was under way:
// it is finished, and shown.
func (c *Controller) conclude(ctx context.Context, s *scope) error {
	if err := c.collect(ctx, s); err != nil || s.memory.running != nil {
		return err
	}
	conditions.Delete(s.obj, fluxmeta.ReconcilingCondition)
	s.showSummary()
	return nil
}

// take writes down an outcome.
func (c *Controller) take(ctx context.Context, s *scope, outcome helm.Outcome) {
	logEnd(ctx, outcome)
	m := s.memory
	m.running = nil
	m.drift.Reset()
	m.drifting = true // the action has had its objects followed
	if m.gated != nil {
		c.warnOnce(s, m.gated.warnings)
		m.gated = nil
	}
	if refusal := refusalOf(outcome.Err); refusal != nil {
		c.refused(s, refusal)
		return
	}
	m.done = append(m.done, outcome.Step.Action)
	if outcome.Unknown {
		m.trigger = ""
		return // what is stored tells as soon as it can be read, as after a restart
	}
	if outcome.Objects != nil {
		writeInventory(s.obj, outcome.Objects)
	}
	c.record(s, outcome.State())
	if outcome.Canceled != "" && m.trigger != "" {
		c.event(s, corev1.EventTypeNormal, helmv2.HealthCheckCanceledReason,
			"Health checks canceled due to new reconciliation triggered by "+m.trigger)
	}
	m.trigger = ""
}

// logEnd logs how an action has ended: whoever reads that it was begun looks for
// that next.
func logEnd(ctx context.Context, outcome helm.Outcome) {
	log := ctrl.LoggerFrom(ctx).WithValues("action", outcome.Step.Action,
		"release", outcome.Step.Target.Namespace+"/"+outcome.Step.Target.Name, "after", outcome.Duration.Round(time.Millisecond).String())
	switch {
	case outcome.Err == nil:
		log.Info("ended")
	case outcome.Canceled != "" || refusalOf(outcome.Err) != nil:
		log.Info("cut off", "because", redact.Error(outcome.Err))
	default:
		log.Info("failed", "error", redact.Error(outcome.Err))
	}
}

// record writes an outcome to the status and tells of it.
func (c *Controller) record(s *scope, outcome state.Outcome) {
	if event := state.Record(s.obj, outcome); event != nil {
		c.told(s, event)
	}
}

// refusalOf returns the error of the gate that an action ended with, or nil.
func refusalOf(err error) *reconcile.Error {
	refusal, _ := errors.AsType[*reconcile.Error](err)
	return refusal
}

// refused notes that the action was not let begin. That is no failure: it wrote
// nothing.
func (c *Controller) refused(s *scope, refusal *reconcile.Error) {
	s.weir().Pending = nil
	s.memory.failure, s.memory.retryAt = refusal, s.now.Add(refusal.After)
	if before := shown(s.obj); before != refusal.Reason+refusal.Error() {
		c.event(s, corev1.EventTypeWarning, refusal.Reason, refusal.Error())
	}
}

func writeInventory(obj *helmv2.HelmRelease, inv inventory.Inventory) {
	entries := make([]meta.ResourceRef, 0, len(inv))
	for _, ref := range inv.Refs() {
		entries = append(entries, meta.ResourceRef{ID: ref.ID(), Version: inv[ref]})
	}
	obj.Status.Inventory = &meta.ResourceInventory{Entries: entries}
}
