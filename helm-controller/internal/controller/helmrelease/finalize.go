// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// finalize uninstalls the release and deletes the source that was made for it,
// and lets the HelmRelease go. Whatever is not certain to be the wish of somebody
// who deletes just this object deletes nothing.
func (c *Controller) finalize(ctx context.Context, s *scope) error {
	going, err := c.uninstalling(ctx)
	if err != nil {
		return err
	}
	if !going && !s.obj.Spec.Suspend {
		if !planOnly(s.obj) {
			if err := c.remove(ctx, s); err != nil {
				return err
			}
		}
		if err := c.deleteSource(ctx, s); err != nil {
			return err
		}
	}
	c.withdraw(ctx, s)
	if err := c.vanished(ctx, s.owner()); err != nil {
		return err
	}
	return nil
}

// uninstalling reports whether Weir itself is on its way out.
func (c *Controller) uninstalling(ctx context.Context) (bool, error) {
	if c.Leaving != nil && c.Leaving() {
		return true, nil
	}
	return reconcile.Uninstalling(ctx, c.Live, CRDName, c.Options.Namespace)
}

// remove uninstalls the release, if there is one and anybody is left who may. It
// returns nil when that is done.
func (c *Controller) remove(ctx context.Context, s *scope) error {
	if running := s.memory.running; running != nil {
		outcome, ended := c.Runner.Take(s.owner())
		if !ended {
			if running.Action != state.Uninstall {
				c.Runner.Cancel(s.owner(), "the HelmRelease is being deleted")
			}
			return progress(0, running.Message())
		}
		c.take(ctx, s, outcome)
		if running.Action == state.Uninstall {
			if err := s.unremoved(); err != nil {
				return err
			}
		}
	}
	step, ok := state.Removal(s.obj)
	if !ok {
		return nil
	}
	err := c.connect(ctx, s)
	if c.unreachable(s, err) {
		return nil
	}
	if errors.Is(err, errCrowded) {
		return progress(connectAgain, step.Message())
	}
	if err != nil {
		return err
	}
	if gone, err := c.tenantGone(ctx, s); gone || err != nil {
		return err
	}
	s.step = step
	if err := c.start(ctx, s, nil); !errors.Is(err, errRunning) {
		return err
	}
	return progress(0, step.Message())
}

// unremoved says why the release could not be uninstalled, if it could not.
func (s *scope) unremoved() error {
	released := conditions.Get(s.obj, helmv2.ReleasedCondition)
	if released == nil || released.Status != metav1.ConditionFalse || released.Reason != helmv2.UninstallFailedReason {
		return nil
	}
	s.showSummary()
	conditions.MarkReconciling(s.obj, fluxmeta.ProgressingWithRetryReason, "%s", released.Message)
	return errors.New(released.Message)
}

// tenantGone reports that the service account which would uninstall does not
// exist any more. Nobody is left with the right to, so the release stays.
func (c *Controller) tenantGone(ctx context.Context, s *scope) (bool, error) {
	if s.account == "" {
		return false, nil
	}
	gone, err := s.target.AccountGone(ctx, c.Live, s.obj.Namespace, s.account)
	if gone {
		c.warn(s, helmv2.UninstallFailedReason,
			fmt.Sprintf("service account %s/%s does not exist any more; the release is left in the cluster", s.obj.Namespace, s.account))
	}
	return gone, err
}
