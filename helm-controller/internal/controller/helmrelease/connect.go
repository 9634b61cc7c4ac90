// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/types"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// connectAgain is when to look again at a cluster that has not answered yet, or
// on which too many are at work. What is waited for comes sooner.
const connectAgain = 30 * time.Second

// errCrowded says that as many HelmReleases as may are at work on remote
// clusters. Nothing of that is shown: another one will be done in a moment.
var errCrowded = errors.New("too many HelmReleases are at work on remote clusters")

// connect finds the cluster to release to, and the client that acts there as the
// tenant. A remote cluster that is away fails the reconcile before it asks for
// anything.
func (c *Controller) connect(ctx context.Context, s *scope) error {
	target, err := c.Clusters.Use(ctx, cluster.User{UID: s.obj.UID, Owner: s.owner()}, s.obj.Spec.KubeConfig)
	if errors.Is(err, cluster.ErrProvider) {
		return reconcile.Stalled(helmv2.UnsupportedFieldReason, err)
	}
	if err != nil {
		return reconcile.Fail(helmv2.RESTClientErrorReason, err)
	}
	s.target = target
	if err := target.Await(ctx); errors.Is(err, cluster.ErrConnecting) {
		return progress(connectAgain, "Connecting to the cluster at "+target.Name)
	} else if err != nil {
		return reconcile.Fail(helmv2.RESTClientErrorReason, err)
	}
	if s.leave = c.Clusters.Enter(target, s.owner()); s.leave == nil {
		return errCrowded
	}
	s.account = cmp.Or(s.obj.Spec.ServiceAccountName, c.Options.DefaultServiceAccount)
	if s.client, err = target.Client(s.obj.Namespace, s.account); err != nil {
		return reconcile.Fail(helmv2.RESTClientErrorReason, err)
	}
	c.locate(s)
	return nil
}

// locate notes on which cluster the release is. If the spec leads to another one
// by now, the release is left where it is, and what is remembered of it counts no
// more.
func (c *Controller) locate(s *scope) {
	known := s.weir().Cluster
	if s.moved = known != "" && known != s.target.Name; s.moved {
		c.left(s, known)
		s.leaveRelease()
	}
	s.weir().Cluster = s.target.Name
	if key, epoch := s.target.Key(), s.target.Epoch(); s.memory.cluster != key || s.memory.epoch != epoch {
		s.memory.cluster, s.memory.epoch, s.memory.retryAt = key, epoch, time.Time{}
	}
}

// leaveRelease forgets the release that the status tells of.
func (s *scope) leaveRelease() {
	status := &s.obj.Status
	status.History, status.StorageNamespace, status.Inventory = nil, "", nil
	status.Failures, status.InstallFailures, status.UpgradeFailures = 0, 0, 0
	s.weir().Pending = nil
}

// weir returns status.weir, which is there from then on.
func (s *scope) weir() *helmv2.WeirStatus {
	if s.obj.Status.Weir == nil {
		s.obj.Status.Weir = &helmv2.WeirStatus{}
	}
	return s.obj.Status.Weir
}

// progress says what is going on.
func progress(after time.Duration, message string) error {
	return reconcile.Progress(after, fluxmeta.ProgressingReason, errors.New(message))
}

// reaching makes a phase end when the target cluster goes, and then says that
// instead of what went wrong on account of it.
func reaching(phase reconcile.Phase[*scope]) reconcile.Phase[*scope] {
	return func(ctx context.Context, s *scope) error {
		err, away := s.target.Reaching(ctx, func(ctx context.Context) error { return phase(ctx, s) })
		if away != nil {
			return reconcile.Fail(helmv2.RESTClientErrorReason, away)
		}
		return err
	}
}

// vanished ends what goes on for a HelmRelease that is gone without having been
// finalized.
func (c *Controller) vanished(ctx context.Context, owner types.NamespacedName) error {
	c.forget(owner)
	c.rings.Leave(owner)
	c.Runner.Forget(owner)
	if c.References != nil {
		c.References.Forget(owner)
	}
	return c.Clusters.Gone(ctx, owner)
}

// unreachable reports that nobody can say any more how to reach the cluster which
// the release is on, or that it is on another one than the spec names by now. It
// stays there.
func (c *Controller) unreachable(s *scope, err error) bool {
	switch {
	case errors.Is(err, cluster.ErrMissing):
		c.warn(s, helmv2.UninstallFailedReason, fmt.Sprintf("%s; the release is left in the cluster", err))
	case err == nil && s.moved:
	default:
		return false
	}
	return true
}
