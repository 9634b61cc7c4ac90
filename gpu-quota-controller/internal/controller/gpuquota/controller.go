// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package gpuquota shows what becomes of GPUQuotas: what is held, what is left,
// and what is wrong. It enforces nothing itself: the recount puts the specs into
// the ledgers, and the webhook asks these.
package gpuquota

import (
	"context"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/recount"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// statusEvery is the least time between two writes of a status in which no
// condition has flipped.
const statusEvery = 10 * time.Second

// Controller reconciles GPUQuotas.
type Controller struct {
	// Live reads past the cache.
	Live client.Reader
	// Store reads and patches GPUQuotas.
	Store *reconcile.Store
	// State is what is known of quotas and namespaces; nil at first.
	State func() *view.State
	// Counts are what the recount found.
	Counts Counts
	// Webhook says why limits are not enforced, if they are not, and else "".
	Webhook func() string
	Events  events.Recorder
	Metrics measure.Metrics
	Figures *Figures
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool

	mu      sync.Mutex
	written map[string]time.Time
}

// Counts are what the recount found, by the root of a tree.
type Counts interface {
	Latest(root string) *recount.Latest
	Failed(root string) error
}

// Reconcile brings the status of one GPUQuota up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	obj := &quotav1.GPUQuota{}
	if err := c.Store.Get(ctx, req.NamespacedName, obj); err != nil {
		if client.IgnoreNotFound(err) == nil {
			c.Figures.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	start := time.Now()
	patcher := c.Store.Patcher(obj)
	s := newScope(obj, patcher)
	defer func() {
		if wait := c.hold(s, time.Now()); wait > 0 && err == nil {
			result.RequeueAfter = wait
		}
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
	if controllerutil.AddFinalizer(obj, quotav1.Finalizer) {
		if err := patcher.Metadata(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	if token, ok := fluxmeta.ReconcileAnnotationValue(obj.Annotations); ok {
		obj.Status.LastHandledReconcileAt = token
	}
	return c.finish(s, c.phases(ctx, s))
}

func (c *Controller) phases(ctx context.Context, s *scope) error {
	return reconcile.Run(ctx, s,
		c.place,
		c.figure,
		c.compare,
		c.enforce,
	)
}

var _ reconcile.Object = (*quotav1.GPUQuota)(nil)
