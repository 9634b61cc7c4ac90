// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package ocirepository turns a layer of an OCI artifact into an artifact.
//
// Every reconcile first checks the stored artifact, then asks the registry
// which digest the reference stands for. Only where that is another revision
// than the stored one, or the artifact is gone, is something pulled, and always
// by digest. Whatever fails, the last good artifact stays.
package ocirepository

import (
	"context"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// Pointer is the name that leads to the artifact, whatever its revision.
const Pointer = "latest.tar.gz"

// Controller reconciles OCIRepositories.
type Controller struct {
	// Keeper keeps the artifacts.
	artifact.Keeper

	// Registry asks registries.
	Registry *oci.Client
	// ServiceAccount is the one whose image pull secrets are used for objects
	// that name neither a Secret nor a service account; none if it is empty.
	ServiceAccount string
	// MaxSize is how many bytes a layer may have, and the files in it.
	MaxSize int64
}

// Reconcile brings one OCIRepository up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.OCIRepository{}
	status := &obj.Status
	return c.Keeper.Reconcile(ctx, req, artifact.Subject{
		Object: obj,
		Kind:   sourcev1.OCIRepositoryKind,
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
				c.resolve,
				c.build,
			)
		},
	})
}

// SetupWithManager registers the controller.
func (c *Controller) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("ocirepository").
		For(&sourcev1.OCIRepository{}, builder.WithPredicates(artifact.Changes())).
		WithOptions(options).
		Complete(c)
}
