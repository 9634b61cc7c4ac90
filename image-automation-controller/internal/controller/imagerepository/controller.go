// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package imagerepository lists the tags of image repositories, as Flux's
// image-reflector-controller does.
//
// Scans are those of the shared scanner and run in the background: however
// many objects name a repository with one credential, it is scanned once.
package imagerepository

import (
	"context"

	"github.com/fluxcd/pkg/runtime/events"
	"github.com/fluxcd/pkg/runtime/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Controller reconciles ImageRepositories.
type Controller struct {
	// Store reads and patches ImageRepositories.
	Store *reconcile.Store
	// Targets says what to scan, and Scanner asks registries.
	Targets scan.Targets
	Scanner *scan.Scanner
	Events  events.Recorder
	Metrics measure.Metrics
	// Waker brings objects back.
	Waker *reconcile.Waker
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool

	looks looks
}

// Reconcile brings one ImageRepository up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &imagev1.ImageRepository{}
	head := reconcile.Head{Store: c.Store, Finalizer: imagev1.Finalizer, Leaving: c.Leaving, Metrics: c.Metrics}
	return head.Reconcile(ctx, req, reconcile.Subject{
		Object:    obj,
		Request:   &obj.Status.ReconcileRequestStatus,
		Suspended: func() bool { return obj.Spec.Suspend },
		Delete:    func(context.Context, *reconcile.Patcher) error { return c.finalize(req) },
		Run: func(ctx context.Context, _ *reconcile.Patcher, requested bool) (ctrl.Result, error) {
			s := newScope(req, obj, requested)
			err := reconcile.Run(ctx, s,
				c.announce,
				c.target,
				c.scan,
				c.record,
			)
			return c.finish(s, err)
		},
	})
}

// SetupWithManager registers the controller. Changes of status wake nobody.
func (c *Controller) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("imagerepository").
		For(&imagev1.ImageRepository{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, reconcile.Restored()))).
		WatchesRawSource(c.Waker.Source()).
		WithOptions(options).
		Complete(c)
}

var _ reconcile.Object = (*imagev1.ImageRepository)(nil)
