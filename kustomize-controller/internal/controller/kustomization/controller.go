// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package kustomization reconciles Kustomizations: it builds what a source
// holds, applies it, prunes what is gone, and keeps the cluster that way.
//
// A reconcile comes in two sizes. The full one fetches, builds and applies; it
// runs for a new revision or spec, on request, after a failure and at every
// interval. All others are woken by the watches: they put drift back and judge
// health from what is known, without a request for anything that is unchanged.
// No reconcile ever waits: one that has to, returns and is woken.
package kustomization

import (
	"context"
	"sync"
	"time"

	"github.com/fluxcd/pkg/runtime/events"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Controller reconciles Kustomizations.
type Controller struct {
	// Client reads custom resources from the cache; Secrets and ConfigMaps
	// it reads live.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Store reads and patches Kustomizations.
	Store *reconcile.Store
	// Clusters apply and watch.
	Clusters *cluster.Clusters
	// Lookout watches what spec.weir.dependsOn names, on the local cluster.
	Lookout *watch.Lookout
	// Artifacts fetches and unpacks.
	Artifacts *artifact.Cache
	// Builder renders.
	Builder *build.Builder
	// Decryption reaches key services.
	Decryption *decrypt.Services
	Events     events.Recorder
	Metrics    measure.Metrics
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool
	Options Options

	mu       sync.Mutex
	memories map[types.UID]*memory
	reads    readBudget
	// changed are the Kustomizations that refer to something which has
	// changed since they last read it.
	changed map[types.NamespacedName]struct{}

	// rings are the Kustomizations that depend on themselves.
	rings depend.Rings

	watches *reconcile.Kinds
	// wake brings a Kustomization back after the given time.
	wake func(types.NamespacedName, time.Duration)
}

// Options are the settings of the controller.
type Options struct {
	// Namespace that the controller runs in; while it is being deleted,
	// nothing is pruned.
	Namespace string
	// RequeueDependency is when to look again at what an object waits for
	// and no event will tell of.
	RequeueDependency time.Duration
	// NoCrossNamespaceRefs forbids sources and dependencies elsewhere.
	NoCrossNamespaceRefs bool
	// AdditiveDependencyCheck has a dependency with an expression meet the
	// built-in rule as well.
	AdditiveDependencyCheck bool
	// DefaultServiceAccount acts for Kustomizations that name none. Empty:
	// the controller itself.
	DefaultServiceAccount string
	Decryption            DecryptionOptions
	// DirectSourceFetch reads sources past the cache.
	DirectSourceFetch bool
	// ExternalArtifacts allows sources of the kind ExternalArtifact.
	ExternalArtifacts bool
	// WatchConfigs has changes of ConfigMaps and Secrets wake the
	// Kustomizations that refer to them. Which of these are seen at all is up
	// to the cache.
	WatchConfigs bool
	// DisableFailFast goes on waiting for the other objects when one has
	// failed.
	DisableFailFast bool
	// Jitter spreads intervals.
	Jitter func(time.Duration) time.Duration
}

// Reconcile brings one Kustomization a step further.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	obj := &kustomizev1.Kustomization{}
	if err := c.Store.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, c.vanished(ctx, req.NamespacedName, err)
	}
	start := time.Now()
	patcher := c.Store.Patcher(obj)
	s := c.newScope(obj, patcher)
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
	if c.leaving() {
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(obj, kustomizev1.Finalizer) {
		if err := patcher.Metadata(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	if obj.Spec.Suspend {
		return ctrl.Result{}, nil
	}
	err = reconcile.Run(ctx, s,
		c.validate,
		c.watchConfigs,
		c.connect,
		applying(reaching(c.watchDrift)),
		c.compileChecks,
		c.findSource,
		c.checkDependencies,
		c.skip,
		c.decide,
		c.fetch,
		c.build,
		reaching(c.plan),
		applying(reaching(c.apply)),
		applying(reaching(c.prune)),
		applying(reaching(c.checkHealth)),
	)
	return c.finish(s, err)
}

var _ reconcile.Object = (*kustomizev1.Kustomization)(nil)
