// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package helmrepository turns the index of a Helm repository into an artifact.
//
// Every reconcile first checks the stored index, then asks the server for it,
// which may say that it is still the same. A new one is read to its end before
// it is stored. Whatever fails, the last good index stays.
//
// A repository of the type "oci" has no index. Such an object only says where
// charts are: it is never reconciled, and has neither finalizer nor status.
package helmrepository

import (
	"context"
	"fmt"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// Pointer is the name that leads to the index, whatever its revision.
const Pointer = "index.yaml"

// Controller reconciles HelmRepositories.
type Controller struct {
	// Keeper keeps the artifacts.
	artifact.Keeper

	// Charts reads repositories.
	Charts *chart.Charts
}

// Reconcile brings one HelmRepository up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.HelmRepository{}
	if err := c.Store.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if obj.Spec.Type == sourcev1.HelmRepositoryTypeOCI {
		return ctrl.Result{}, c.strip(ctx, obj)
	}
	obj = &sourcev1.HelmRepository{}
	status := &obj.Status
	return c.Keeper.Reconcile(ctx, req, artifact.Subject{
		Object: obj,
		Kind:   sourcev1.HelmRepositoryKind,
		Status: artifact.Status{
			Artifact: &status.Artifact, ObservedGeneration: &status.ObservedGeneration, Request: &status.ReconcileRequestStatus,
			URL: &status.URL, Pointer: Pointer,
		},
		Suspended: func() bool { return obj.Spec.Suspend },
		Interval:  func() time.Duration { return obj.GetRequeueAfter() },
		Run: func(ctx context.Context, source *artifact.Source) error {
			return reconcile.Run(ctx, &scope{Source: source, obj: obj},
				c.validate,
				artifact.Announce,
				artifact.Check,
				c.connect,
				c.fetch,
			)
		},
	})
}

// strip takes away what an object had before its type was "oci", or what Flux
// left. A suspended object stays as it is, unless it is being deleted.
func (c *Controller) strip(ctx context.Context, obj *sourcev1.HelmRepository) error {
	deleted := !obj.DeletionTimestamp.IsZero()
	if isStatic(obj) || obj.Spec.Suspend && !deleted || !deleted && c.Leaving != nil && c.Leaving() {
		return nil
	}
	owner := storage.Object{Kind: sourcev1.HelmRepositoryKind, Namespace: obj.Namespace, Name: obj.Name}
	if _, err := c.Storage.RemoveAll(owner); err != nil {
		return fmt.Errorf("garbage collection for a repository of the type oci failed: %w", err)
	}
	patcher := c.Store.Patcher(obj)
	obj.Status = sourcev1.HelmRepositoryStatus{}
	if err := patcher.Status(ctx); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(obj, sourcev1.SourceFinalizer)
	return patcher.Metadata(ctx)
}

// isStatic reports whether an object has neither finalizer nor status.
func isStatic(obj *sourcev1.HelmRepository) bool {
	status := &obj.Status
	return !controllerutil.ContainsFinalizer(obj, sourcev1.SourceFinalizer) && len(status.Conditions) == 0 &&
		status.ObservedGeneration == 0 && status.URL == "" && status.Artifact == nil && status.LastHandledReconcileAt == ""
}

// SetupWithManager registers the controller.
func (c *Controller) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("helmrepository").
		For(&sourcev1.HelmRepository{}, builder.WithPredicates(artifact.Changes(), predicate.NewPredicateFuncs(concerns))).
		WithOptions(options).
		Complete(c)
}

// concerns reports whether there can be something to do for an object.
func concerns(obj client.Object) bool {
	repo, ok := obj.(*sourcev1.HelmRepository)
	return ok && (repo.Spec.Type != sourcev1.HelmRepositoryTypeOCI || !isStatic(repo))
}
