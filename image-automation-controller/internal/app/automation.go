// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"path/filepath"

	helper "github.com/fluxcd/pkg/runtime/controller"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/controller/imageupdateautomation"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// indexBytes bounds what is remembered of files with marked fields.
const indexBytes = 64 << 20

// setupAutomation adds the controller of ImageUpdateAutomations.
func setupAutomation(ctx context.Context, a *app.App, o *Options, parts *shared) error {
	objects, err := git.NewStore(filepath.Join(o.StoragePath, "git"), o.GitCacheSize, git.Limits{Transfer: o.GitMaxTransfer})
	if err != nil {
		return fmt.Errorf("--storage-path: %w", err)
	}
	figures, err := imageupdateautomation.NewFigures(metrics.Registry)
	if err != nil {
		return err
	}
	algorithms := git.Algorithms{KeyExchange: o.SSHKexAlgos, HostKey: o.SSHHostKeyAlgos}
	waker := &reconcile.Waker{}
	batches := batch.New(objects, parts.dialer, algorithms, waker.Wake, a.Log.WithName("batch"))
	if err := a.Manager.Add(batches); err != nil {
		return fmt.Errorf("add the batches of commits: %w", err)
	}
	c := &imageupdateautomation.Controller{
		Client:   a.Manager.GetClient(),
		Store:    reconcile.NewStore(a.Manager.GetClient(), a.Manager.GetAPIReader(), imagev1.FieldManager),
		Targets:  targets(a, o),
		Registry: parts.registry,
		Scanner:  parts.scanner,
		Batches:  batches,
		Objects:  objects,
		Dialer:   parts.dialer,
		Index:    setter.NewIndex(indexBytes),
		Events:   a.Events,
		Metrics:  a.Metrics,
		Figures:  figures,
		Waker:    waker,
		Leaving:  a.Leaving(&imagev1.ImageUpdateAutomation{}),
		Options: imageupdateautomation.Options{
			NoCrossNamespaceRefs: o.NoCrossNamespaceRefs,
			Algorithms:           algorithms,
			ForgeHosts:           o.ForgeHosts,
			MinRetry:             o.RateLimiter.MinRetryDelay,
			MaxRetry:             o.RateLimiter.MaxRetryDelay,
			Jitter:               o.Jittered(),
		},
	}
	return c.SetupWithManager(ctx, a.Manager, controller.TypedOptions[ctrl.Request]{RateLimiter: helper.GetRateLimiter(o.RateLimiter)})
}
