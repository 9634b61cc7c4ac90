// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"errors"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const actionReconcile = "Reconcile"

// finish turns the outcome of the phases into status, events and next run.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	if reconcile.InBackground(s.obj, err) {
		return ctrl.Result{}, nil
	}
	retry := max(c.backoff(s.req, err), oci.RetryAfter(err))
	result, finished := reconcile.Finish(s.obj, err,
		reconcile.Success{
			Reason:  fluxmeta.SucceededReason,
			Message: readyMessage(&s.obj.Status),
			After:   s.obj.GetInterval(),
		},
		reconcile.Policy{
			RetryAfter:            retry,
			SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
			Failed:                func(reason, message string) { c.failed(s, reason, message) },
		})
	if err == nil {
		c.succeeded(s)
	}
	return result, finished
}

// backoff says when to try again what failed. The queue's own back-off would
// begin anew whenever a reconcile ends to wait for work in the background.
func (c *Controller) backoff(req ctrl.Request, err error) (retry time.Duration) {
	e, ok := errors.AsType[*reconcile.Error](err)
	switch {
	case err == nil:
		c.Backoff.Forget(req)
	case !ok || e.Kind == reconcile.KindFailed:
		return c.Backoff.When(req)
	}
	return 0
}

// finalize forgets a policy. Nothing else holds it.
func (c *Controller) finalize(req ctrl.Request) error {
	c.lookups.drop(req.NamespacedName)
	c.Scanner.Drop(owner(req))
	c.Backoff.Forget(req)
	return nil
}

// succeeded tells that another image was picked, or that the same one is known
// to be right again after a failure. A look without news is no event.
func (c *Controller) succeeded(s *scope) {
	if s.before != nil && *s.before == s.latest && !s.failing {
		return
	}
	c.Events.Eventf(s.obj, nil, corev1.EventTypeNormal, imagev1.SucceededReason, actionReconcile, "%s", readyMessage(&s.obj.Status))
}

// failed tells why no image could be picked.
func (c *Controller) failed(s *scope, reason, message string) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, reason, actionReconcile, "%s", message)
}
