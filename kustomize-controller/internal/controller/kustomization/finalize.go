// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// CRDName is the name of the definition of Kustomizations.
const CRDName = "kustomizations.kustomize.toolkit.fluxcd.io"

// finalize deletes what the Kustomization applied, if its policy says so, and
// lets it go. Whatever is not certain to be the wish of somebody who deletes
// just this object deletes nothing.
func (c *Controller) finalize(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.obj, kustomizev1.Finalizer) {
		return ctrl.Result{}, nil
	}
	going, err := c.uninstalling(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !going && !s.obj.Spec.Suspend && !planOnly(s.obj) {
		err := c.deleteApplied(ctx, s)
		if held, ok := errors.AsType[*heldPruneError](err); ok {
			return c.holdDeletion(s, held)
		}
		if err != nil {
			return c.undeleted(s, err)
		}
	}
	if s.recheck > 0 {
		return ctrl.Result{RequeueAfter: s.recheck}, nil
	}
	c.withdraw(ctx, s)
	if err := c.Clusters.Leave(ctx, s.obj.UID); err != nil {
		return ctrl.Result{}, err
	}
	c.forgetDependencies(s.owner())
	controllerutil.RemoveFinalizer(s.obj, kustomizev1.Finalizer)
	if err := s.patcher.Metadata(ctx); err != nil {
		return ctrl.Result{}, err
	}
	c.forget(s.obj.UID)
	return ctrl.Result{}, nil
}

// leaving reports what was heard of an uninstall. That nothing was heard of it
// does not prove that there is none.
func (c *Controller) leaving() bool { return c.Leaving != nil && c.Leaving() }

// uninstalling reports whether Weir itself is on its way out: then objects of
// ours are deleted by the hundred, and not one workload may follow.
func (c *Controller) uninstalling(ctx context.Context) (bool, error) {
	if c.leaving() {
		return true, nil
	}
	return reconcile.Uninstalling(ctx, c.Live, CRDName, c.Options.Namespace)
}

// deleteApplied carries out spec.deletionPolicy.
func (c *Controller) deleteApplied(ctx context.Context, s *scope) error {
	policy := s.obj.GetDeletionPolicy()
	if policy == kustomizev1.DeletionPolicyOrphan || policy == kustomizev1.DeletionPolicyMirrorPrune && !s.obj.Spec.Prune {
		return nil
	}
	inv, err := readInventory(s.obj)
	if err != nil || len(inv) == 0 {
		return err
	}
	err = c.connect(ctx, s)
	if c.unreachable(s, err) {
		return nil
	}
	if err != nil {
		return err
	}
	return reaching(func(ctx context.Context, s *scope) error { return c.deleteMembers(ctx, s, inv, policy) })(ctx, s)
}

// deleteMembers deletes what the inventory lists, as the tenant.
func (c *Controller) deleteMembers(ctx context.Context, s *scope, inv inventory.Inventory, policy string) error {
	if gone, err := c.tenantGone(ctx, s); gone || err != nil {
		return err
	}
	if s.memory.terminating == nil {
		passed, err := s.confirmPrune(ctx, inv, len(inv))
		if err != nil {
			return err
		}
		deleted, _, err := s.engine.Prune(ctx, passed, apply.PruneOptions{Client: s.client, Owner: s.owner()})
		c.pruned(s, deleted)
		if err != nil {
			return fmt.Errorf("delete the applied objects: %w", err)
		}
		s.memory.terminating = inv
	}
	if policy == kustomizev1.DeletionPolicyWaitForTermination {
		return c.awaitTermination(ctx, s)
	}
	return nil
}

// tenantGone reports that the service account which would delete does not
// exist any more. Nobody is left with the right to, so the objects stay.
func (c *Controller) tenantGone(ctx context.Context, s *scope) (bool, error) {
	name := s.obj.Spec.ServiceAccountName
	if name == "" {
		name = c.Options.DefaultServiceAccount
	}
	if name == "" {
		return false, nil
	}
	gone, err := s.target.AccountGone(ctx, c.Live, s.obj.Namespace, name)
	if !gone {
		return false, err
	}
	c.event(s, corev1.EventTypeWarning, kustomizev1.PruneFailedReason,
		fmt.Sprintf("service account %s/%s does not exist any more; the applied objects are left in the cluster", s.obj.Namespace, name))
	return true, nil
}
