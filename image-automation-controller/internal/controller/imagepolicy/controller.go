// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package imagepolicy picks one of the tags of an ImageRepository, as Flux's
// image-reflector-controller does.
//
// Tags come from the scanner that the ImageRepository feeds; a policy never
// has a registry asked for tags that are at hand. The digest of the tag is
// looked up in the background: a reconcile never waits for a registry.
package imagepolicy

import (
	"context"

	"github.com/fluxcd/pkg/runtime/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Controller reconciles ImagePolicies.
type Controller struct {
	// Client reads ImageRepositories from the cache.
	Client client.Client
	// Live reads namespaces.
	Live client.Reader
	// Store reads and patches ImagePolicies.
	Store *reconcile.Store
	// Targets says what ImageRepositories scan, Scanner knows the tags, and
	// Registry their digests.
	Targets  scan.Targets
	Scanner  *scan.Scanner
	Registry *oci.Client
	Events   events.Recorder
	Metrics  measure.Metrics
	// Waker brings policies back.
	Waker *reconcile.Waker
	// Backoff says when to try again what failed.
	Backoff workqueue.TypedRateLimiter[ctrl.Request]
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool
	Options Options

	lookups lookups
}

// Options are the settings of the controller.
type Options struct {
	// NoCrossNamespaceRefs refuses ImageRepositories of other namespaces.
	NoCrossNamespaceRefs bool
}

// Reconcile brings one ImagePolicy up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &imagev1.ImagePolicy{}
	head := reconcile.Head{Store: c.Store, Finalizer: imagev1.Finalizer, Leaving: c.Leaving, Metrics: c.Metrics}
	return head.Reconcile(ctx, req, reconcile.Subject{
		Object:    obj,
		Request:   &obj.Status.ReconcileRequestStatus,
		Suspended: func() bool { return obj.Spec.Suspend },
		Delete:    func(context.Context, *reconcile.Patcher) error { return c.finalize(req) },
		Run: func(ctx context.Context, _ *reconcile.Patcher, requested bool) (ctrl.Result, error) {
			s := newScope(req, obj, requested)
			err := reconcile.Run(ctx, s,
				c.validate,
				c.announce,
				c.findRepository,
				c.readTags,
				c.pick,
				c.lookUp,
				c.settle,
			)
			return c.finish(s, err)
		},
	})
}

var _ reconcile.Object = (*imagev1.ImagePolicy)(nil)
