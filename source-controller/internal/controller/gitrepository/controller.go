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

	helper "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/events"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// Controller reconciles GitRepositories.
type Controller struct {
	// Client reads Secrets, live.
	Client client.Client
	// Store reads and patches GitRepositories.
	Store *reconcile.Store
	// Objects holds what was fetched.
	Objects *git.Store
	// Storage holds artifacts.
	Storage *storage.Storage
	// Dialer connects to remotes.
	Dialer  *dial.Dialer
	Events  events.Recorder
	Metrics helper.Metrics
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool
	Options Options
}

// Options are the settings of the controller.
type Options struct {
	// Algorithms restricts what SSH negotiates.
	Algorithms git.Algorithms
	// Jitter spreads intervals.
	Jitter func(time.Duration) time.Duration
}

// Reconcile brings one GitRepository up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.GitRepository{}
	head := reconcile.Head{Store: c.Store, Finalizer: sourcev1.SourceFinalizer, Leaving: c.Leaving, Metrics: c.Metrics}
	return head.Reconcile(ctx, req, reconcile.Subject{
		Object:    obj,
		Request:   &obj.Status.ReconcileRequestStatus,
		Suspended: func() bool { return obj.Spec.Suspend },
		Delete:    func(ctx context.Context, _ *reconcile.Patcher) error { return c.finalize(ctx, obj) },
		Run: func(ctx context.Context, patcher *reconcile.Patcher, requested bool) (ctrl.Result, error) {
			s := newScope(obj, patcher, requested)
			defer s.close()
			err := reconcile.Run(ctx, s,
				c.validate,
				c.announce,
				c.checkStorage,
				c.connect,
				c.resolve,
				c.build,
			)
			return c.finish(s, err)
		},
	})
}
