// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	helper "github.com/fluxcd/pkg/runtime/controller"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/controller/imagepolicy"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// setupImagePolicy adds the controller of ImagePolicies.
func setupImagePolicy(ctx context.Context, a *app.App, o *Options, parts *shared) error {
	c := &imagepolicy.Controller{
		Client:   a.Manager.GetClient(),
		Live:     a.Manager.GetAPIReader(),
		Store:    reconcile.NewStore(a.Manager.GetClient(), a.Manager.GetAPIReader(), imagev1.FieldManager),
		Targets:  targets(a, o),
		Scanner:  parts.scanner,
		Registry: parts.registry,
		Events:   a.Events,
		Metrics:  a.Metrics,
		Waker:    &reconcile.Waker{},
		Backoff:  helper.GetRateLimiter(o.RateLimiter),
		Leaving:  a.Leaving(&imagev1.ImagePolicy{}),
		Options:  imagepolicy.Options{NoCrossNamespaceRefs: o.NoCrossNamespaceRefs},
	}
	return c.SetupWithManager(ctx, a.Manager, controller.TypedOptions[ctrl.Request]{RateLimiter: helper.GetRateLimiter(o.RateLimiter)})
}
