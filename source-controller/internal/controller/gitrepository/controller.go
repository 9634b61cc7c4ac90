// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package gitrepository turns what a Git reference points to into an artifact.
//
// Every reconcile first checks the stored artifact, then asks the remote what
// the reference stands for. Only where that is another revision than the
// stored one, or the artifact is gone, does it fetch objects and write an
// artifact. Whatever fails, the last good artifact stays.
package gitrepository

import (
	"context"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// Controller reconciles GitRepositories.
type Controller struct {
	// Keeper keeps the artifacts.
	artifact.Keeper

	// Objects holds what was fetched.
	Objects *git.Store
	// Dialer connects to remotes.
	Dialer *dial.Dialer
	// Algorithms restricts what SSH negotiates.
	Algorithms git.Algorithms
}

// Reconcile brings one GitRepository up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.GitRepository{}
	status := &obj.Status
	return c.Keeper.Reconcile(ctx, req, artifact.Subject{
		Object: obj,
		Kind:   sourcev1.GitRepositoryKind,
		Status: artifact.Status{
			Artifact: &status.Artifact, ObservedGeneration: &status.ObservedGeneration, Request: &status.ReconcileRequestStatus,
		},
		Suspended: func() bool { return obj.Spec.Suspend },
		Interval:  func() time.Duration { return obj.Spec.Interval.Duration },
		Run: func(ctx context.Context, source *artifact.Source) error {
			s := &scope{Source: source, obj: obj}
			defer s.close()
			return reconcile.Run(ctx, s,
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
		Named("gitrepository").
		For(&sourcev1.GitRepository{}, builder.WithPredicates(artifact.Changes())).
		WithOptions(options).
		Complete(c)
}
