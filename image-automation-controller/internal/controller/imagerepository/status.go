// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository

import (
	"errors"
	"fmt"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const actionReconcile = "Reconcile"

// finish turns the outcome of the phases into status, events and next run.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	if reconcile.InBackground(s.obj, err) {
		return ctrl.Result{}, nil
	}
	interval := s.obj.Spec.Interval.Duration
	policy := reconcile.Policy{
		SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
		Failed:                func(reason, message string) { c.failed(s, reason, message) },
	}
	if _, ok := errors.AsType[*scanError](err); ok {
		// The scanner wakes the object after its next try.
		policy.RetryAfter = interval
	}
	ok := reconcile.Success{Reason: fluxmeta.SucceededReason}
	if err == nil {
		ok.Message = readyMessage(s.obj.Status.LastScanResult)
		ok.After = nextScan(interval, s.result.At, time.Now())
	}
	result, finished := reconcile.Finish(s.obj, err, ok, policy)
	if err == nil {
		c.succeeded(s, ok.Message)
	}
	return result, finished
}

func readyMessage(result *imagev1.ScanResult) string {
	return fmt.Sprintf("successful scan: found %d tags with checksum %s", result.TagCount, result.Revision)
}

// finalize forgets an object. Nothing else holds it: its tags are in a cache.
func (c *Controller) finalize(req ctrl.Request) error {
	c.Scanner.Drop(owner(req, 0))
	c.Scanner.Drop(owner(req, c.looks.end(req.NamespacedName).round))
	return nil
}

// succeeded tells of other tags, or that there are the same again after a
// failure. A scan without news is no event.
func (c *Controller) succeeded(s *scope, message string) {
	if s.before == s.obj.Status.LastScanResult.Revision && !s.failing {
		return
	}
	c.Events.Eventf(s.obj, nil, corev1.EventTypeNormal, imagev1.SucceededReason, actionReconcile, "%s", message)
}

// failed tells why there is no list of tags.
func (c *Controller) failed(s *scope, reason, message string) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, reason, actionReconcile, "%s", message)
}
