// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// place finds the quota in the Forest.
func (c *Controller) place(_ context.Context, s *scope) error {
	s.state = c.State()
	if s.state == nil {
		return counting(time.Second)
	}
	s.quota, s.problem = s.state.Forest.Quota(s.obj.Name), s.state.Forest.Problem(s.obj.Name)
	known := s.quota != nil && s.quota.UID == s.obj.UID
	switch {
	case !known && s.problem == nil:
		return counting(time.Second) // the Forest is about to grow it
	case !known:
		return reconcile.Stalled(s.problem.Reason, errors.New(s.problem.Message))
	}
	s.obj.Status.Namespaces = int64(s.state.Count[s.obj.Name])
	overlaps := s.state.Overlaps[s.obj.Name]
	if len(overlaps) > 0 {
		conditions.MarkTrue(s.obj, quotav1.OverlappingCondition, quotav1.OlderQuotaReason, "%s", overlapping(overlaps))
	} else {
		conditions.Delete(s.obj, quotav1.OverlappingCondition)
	}
	return nil
}

// figure shows the last count.
func (c *Controller) figure(_ context.Context, s *scope) error {
	failed := c.Counts.Failed(s.quota.Root)
	s.latest = c.Counts.Latest(s.quota.Root)
	if s.latest == nil || errors.Is(failed, ledger.ErrUnreadable) {
		if failed != nil {
			return reconcile.Fail(quotav1.LedgerFailedReason, fmt.Errorf("nothing new is admitted: %w", failed))
		}
		return counting(0)
	}
	balances, known := s.latest.Balances[s.obj.Name]
	if !known {
		return counting(0)
	}
	s.obj.Status.Devices = devices(balances)
	s.obj.Status.Summary = summary(s.obj.Status.Devices)
	c.Figures.set(s.obj.Name, balances)
	return nil
}

// compare says whether more is held than is allowed, and whether something is
// held that no class counts.
func (c *Controller) compare(_ context.Context, s *scope) error {
	if over := exceeded(s.latest.Balances[s.obj.Name]); over != "" {
		conditions.MarkTrue(s.obj, quotav1.ExceededCondition, quotav1.OverLimitReason, "%s; nothing is evicted", over)
	} else {
		conditions.MarkFalse(s.obj, quotav1.ExceededCondition, quotav1.WithinLimitsReason, "no more is held than is allowed")
	}
	classes := s.state.Forest.Catalogue(s.quota.Root).Classes()
	switch missing, unknown := missingClasses(s.quota, classes), s.latest.Unknown[s.obj.Name]; {
	case len(missing) > 0:
		conditions.MarkTrue(s.obj, quotav1.UnknownDeviceCondition, quotav1.NoSuchClassReason, "spec.limits: GPUQuota %q, the root of the tree, has no device %s; it has %s",
			s.quota.Root, quoted(missing), quoted(classes))
	case len(unknown) > 0:
		conditions.MarkTrue(s.obj, quotav1.UnknownDeviceCondition, quotav1.NoClassReason, "pods ask for %s, which no device of GPUQuota %q counts", quoted(unknown), s.quota.Root)
	default:
		conditions.Delete(s.obj, quotav1.UnknownDeviceCondition)
	}
	return nil
}

// enforce says whether the limits hold as the spec has them.
func (c *Controller) enforce(_ context.Context, s *scope) error {
	recorded, ok := s.latest.Record.Quotas[s.obj.Name]
	switch {
	case s.problem != nil && s.problem.Reason == quotav1.ParentNotFoundReason:
		return reconcile.Wait(0, s.problem.Reason, errors.New(s.problem.Message))
	case s.problem != nil:
		return reconcile.Stalled(s.problem.Reason, errors.New(s.problem.Message))
	case !ok || recorded.Generation != s.obj.Generation || s.latest.Record.Closed != "":
		return counting(0)
	}
	if problem := c.Webhook(); problem != "" && !s.obj.Spec.Suspend {
		return reconcile.Fail(quotav1.WebhookFailedReason, errors.New(problem))
	}
	return nil
}

// counting says that there is no count of the spec yet. The next one wakes the
// quota, or the time does.
func counting(after time.Duration) error {
	return reconcile.Progress(after, quotav1.CountingReason, errors.New("what is held is being counted"))
}
