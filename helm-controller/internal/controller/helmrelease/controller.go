// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package helmrelease keeps the releases that HelmReleases describe.
//
// A reconcile finds out what is wanted, looks at what Helm's storage has, and
// begins one action at most. Actions run in the background, one at a time for
// each release, and bring their HelmRelease back when they end; no reconcile
// waits for one. What is newer than an action under way cuts its wait short. A
// release that is as it is wanted is neither rendered nor asked about.
package helmrelease

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/fluxcd/pkg/runtime/events"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

// CRDName is the name of the definition of HelmReleases.
const CRDName = "helmreleases.helm.toolkit.fluxcd.io"

// Controller reconciles HelmReleases.
type Controller struct {
	// Client reads custom resources from the cache; Secrets and ConfigMaps it
	// reads live.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Store reads and patches HelmReleases.
	Store *reconcile.Store
	// Clusters are released to.
	Clusters *cluster.Clusters
	// Stores have the releases that Helm has stored on them.
	Stores *Stores
	// Charts opens charts, Runner acts on releases, and Renderer renders for plans.
	Charts   *helm.Charts
	Runner   Runner
	Renderer *helm.Renderer
	// Schemas downloads what the schemas of charts refer to. Nil: nothing does.
	Schemas *http.Client
	// References wakes HelmReleases by the Secrets and ConfigMaps that they refer
	// to. Nil: nobody is.
	References References
	Events     events.Recorder
	Metrics    measure.Metrics
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool
	Options Options

	mu       sync.Mutex
	memories map[types.NamespacedName]*memory
	// rings are the HelmReleases that depend on themselves.
	rings depend.Rings

	watches *reconcile.Kinds
	waker   *Waker
}

// Runner acts on releases, as helm.Runner does: in the background, one action at
// a time for each HelmRelease, which is reconciled when it has ended.
type Runner interface {
	Start(job *helm.Job) bool
	Take(owner types.NamespacedName) (helm.Outcome, bool)
	Cancel(owner types.NamespacedName, reason string)
	Forget(owner types.NamespacedName)
}

// References wake who refers to something that has changed, as watch.References
// do.
type References interface {
	Follow(user types.NamespacedName, refs []watch.Reference) watch.Basis
	Forget(user types.NamespacedName)
}

// Options are the settings of the controller.
type Options struct {
	// Namespace that the controller runs in; while it is being deleted, nothing is
	// uninstalled.
	Namespace string
	// RequeueDependency is when to look again at what an object waits for and no
	// event will tell of.
	RequeueDependency time.Duration
	// NoCrossNamespaceRefs forbids sources and dependencies elsewhere.
	NoCrossNamespaceRefs bool
	// AdditiveDependencyCheck has a dependency with an expression meet the built-in
	// rule as well.
	AdditiveDependencyCheck bool
	// DefaultServiceAccount acts for HelmReleases that name none. Empty: the
	// controller itself.
	DefaultServiceAccount string
	// DirectSourceFetch reads sources past the cache.
	DirectSourceFetch bool
	// ExternalArtifacts allows sources of the kind ExternalArtifact.
	ExternalArtifacts bool
	// PlainVersions leaves the digest of an artifact out of the version of its
	// chart.
	PlainVersions bool
	// Helm3Defaults takes Helm 3's defaults where the spec says nothing: objects are
	// merged by the client, and waited for as Helm 3 does.
	Helm3Defaults bool
	// FinishWaits lets a wait under way come to its end though something newer is
	// there.
	FinishWaits bool
	// Policy is about what to do with failures.
	Policy state.Policy
	// Jitter spreads intervals.
	Jitter func(time.Duration) time.Duration
}

// Reconcile brings one HelmRelease a step further.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &helmv2.HelmRelease{}
	head := reconcile.Head{Store: c.Store, Finalizer: helmv2.Finalizer, Leaving: c.Leaving, Metrics: c.Metrics}
	result, err := head.Reconcile(ctx, req, reconcile.Subject{
		Object:    obj,
		Request:   &obj.Status.ReconcileRequestStatus,
		Suspended: func() bool { return obj.Spec.Suspend && c.remember(req.NamespacedName, obj.UID).running == nil },
		Delete: func(ctx context.Context, patcher *reconcile.Patcher) error {
			s := c.newScope(obj, patcher)
			defer s.close()
			return c.finalize(ctx, s)
		},
		Run: func(ctx context.Context, patcher *reconcile.Patcher, requested bool) (ctrl.Result, error) {
			s := c.newScope(obj, patcher)
			defer s.close()
			s.requested = requested
			if obj.Spec.Suspend {
				return ctrl.Result{}, c.conclude(ctx, s)
			}
			return c.finish(s, c.run(ctx, s))
		},
	})
	if obj.UID == "" && err == nil {
		err = c.vanished(ctx, req.NamespacedName)
	}
	return result, err
}

func (c *Controller) run(ctx context.Context, s *scope) error {
	return reconcile.Run(ctx, s,
		c.collect,
		c.validate,
		c.follow,
		c.makeSource,
		c.connect,
		applying(reaching(c.watchDrift)),
		c.findSource,
		c.checkDependencies,
		c.mergeValues,
		c.openChart,
		reaching(c.observe),
		reaching(c.plan),
		applying(reaching(c.act)),
		applying(reaching(c.settle)),
	)
}

var _ reconcile.Object = (*helmv2.HelmRelease)(nil)
