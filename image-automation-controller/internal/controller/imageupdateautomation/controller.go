// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package imageupdateautomation commits new images to Git.
//
// One run of an automation looks at its registries, asks internal/plan for a
// decision on the tip of its branch, and pushes what that says. Registries,
// Git servers and forges are asked in the background: a reconcile only looks
// at how far the run is, and what it waits for brings the object back.
package imageupdateautomation

import (
	"context"
	"time"

	"github.com/fluxcd/pkg/runtime/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// CRDName is the definition of the kind.
const CRDName = "imageupdateautomations.image.toolkit.fluxcd.io"

// Controller reconciles ImageUpdateAutomations.
type Controller struct {
	// Client reads sources and policies from the cache, Secrets live, and
	// nudges sources.
	Client client.Client
	// Store reads and patches ImageUpdateAutomations.
	Store *reconcile.Store
	// Registry and Scanner ask registries, and Targets reads with what.
	Targets  scan.Targets
	Registry *oci.Client
	Scanner  *scan.Scanner
	// Batches plan and push; Objects and Dialer reach Git servers.
	Batches *batch.Batcher
	Objects *git.Store
	Dialer  *dial.Dialer
	// Index finds marked fields.
	Index   *setter.Index
	Events  events.Recorder
	Metrics measure.Metrics
	Figures *Figures
	// Waker brings objects back.
	Waker *reconcile.Waker
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool
	Options Options

	memory memory
}

// Options are the settings of the controller.
type Options struct {
	// NoCrossNamespaceRefs refuses sources of other namespaces.
	NoCrossNamespaceRefs bool
	// Algorithms restricts what SSH negotiates.
	Algorithms git.Algorithms
	// ForgeHosts are hosts of APIs that tokens may be sent to, beside the
	// host of the repository.
	ForgeHosts []string
	// MinRetry and MaxRetry bound the time between two tries of a run that
	// fails.
	MinRetry, MaxRetry time.Duration
	// Jitter spreads intervals.
	Jitter func(time.Duration) time.Duration
}

// Reconcile takes the run of one automation as far as it gets without waiting.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &imagev1.ImageUpdateAutomation{}
	head := reconcile.Head{Store: c.Store, Finalizer: imagev1.Finalizer, Leaving: c.Leaving, Metrics: c.Metrics}
	return head.Reconcile(ctx, req, reconcile.Subject{
		Object:  obj,
		Request: pending{obj},
		// A run that has begun is finished: it may have pushed.
		Suspended: func() bool { return obj.Spec.Suspend && c.recall(req.NamespacedName, obj.UID).run == nil },
		Delete: func(context.Context, *reconcile.Patcher) error {
			c.drop(req.NamespacedName)
			return nil
		},
		Run: func(ctx context.Context, patcher *reconcile.Patcher, _ bool) (ctrl.Result, error) {
			s := &scope{obj: obj, patcher: patcher, name: req.NamespacedName, log: ctrl.LoggerFrom(ctx), entry: c.recall(req.NamespacedName, obj.UID)}
			return c.finish(s, reconcile.Run(ctx, s,
				c.resume,
				c.validate,
				c.findSource,
				c.begin,
				c.connect,
				c.collect,
				c.gather,
				c.review,
				c.commit,
				c.propose,
				c.settle,
			))
		},
	})
}

// pending leaves requests by annotation unacknowledged until their run is
// over: who waits for one waits for its outcome.
type pending struct {
	obj *imagev1.ImageUpdateAutomation
}

// GetLastHandledReconcileRequest returns the last request whose run is over.
func (p pending) GetLastHandledReconcileRequest() string { return p.obj.Status.LastHandledReconcileAt }

// SetLastHandledReconcileRequest does nothing; finish acknowledges.
func (p pending) SetLastHandledReconcileRequest(string) {}

var _ reconcile.Object = (*imagev1.ImageUpdateAutomation)(nil)
