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

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	helper "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/events"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

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
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	obj := &sourcev1.GitRepository{}
	if err := c.Store.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	start := time.Now()
	patcher := c.Store.Patcher(obj)
	s := newScope(obj, patcher)
	defer func() {
		s.close()
		if patchErr := patcher.Status(ctx); patchErr != nil && err == nil {
			err = patchErr
		}
		c.Metrics.RecordDuration(ctx, obj, start)
	}()

	if !obj.DeletionTimestamp.IsZero() {
		return c.finalize(ctx, s)
	}
	if c.Leaving != nil && c.Leaving() {
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(obj, sourcev1.SourceFinalizer) {
		if err := patcher.Metadata(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	if token, ok := fluxmeta.ReconcileAnnotationValue(obj.Annotations); ok {
		s.requested = token != obj.Status.LastHandledReconcileAt
		obj.Status.LastHandledReconcileAt = token
	}
	if obj.Spec.Suspend {
		return ctrl.Result{}, nil
	}
	err = reconcile.Run(ctx, s,
		c.validate,
		c.announce,
		c.checkStorage,
		c.connect,
		c.resolve,
		c.build,
	)
	return c.finish(s, err)
}

var _ reconcile.Object = (*sourcev1.GitRepository)(nil)
