// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// connect finds the cluster to apply to, and the clients that act there and
// here as the tenant.
func (c *Controller) connect(_ context.Context, s *scope) error {
	account := cmp.Or(s.obj.Spec.ServiceAccountName, c.Options.DefaultServiceAccount)
	target := c.Clusters.Local
	client, err := target.Tenants.For(s.obj.Namespace, account)
	if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	s.engine, s.client, s.local = target.Engine, client, client
	s.set = s.engine.Set(s.owner(), s.obj.UID)
	return nil
}
