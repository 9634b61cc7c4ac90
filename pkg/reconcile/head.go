// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Head is how every reconcile begins and ends: the object is read, gets its
// finalizer, and what changed in its status is patched whatever comes of it.
type Head struct {
	Store *Store
	// Finalizer is put on every object that is not being deleted.
	Finalizer string
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// but finalizing. Nil: never.
	Leaving func() bool
	// Metrics measures how long reconciles take.
	Metrics interface {
		RecordDuration(ctx context.Context, obj conditions.Getter, start time.Time)
	}
}

// Subject is one object, and what is done with it. The functions are called
// when the object has been read.
type Subject struct {
	Object Object
	// Request is the part of its status that acknowledges requests by
	// annotation. The token is taken over before Run, and for suspended
	// objects too.
	Request interface {
		GetLastHandledReconcileRequest() string
		SetLastHandledReconcileRequest(token string)
	}
	// Suspended reports spec.suspend. A suspended object is left as it is.
	Suspended func() bool
	// Delete undoes what was done for the object, and returns nil when the
	// finalizer may go. While it returns an Error of KindProgressing or
	// KindWaiting, the object is looked at again at that time, and nobody is
	// told of a failure.
	Delete func(ctx context.Context, patcher *Patcher) error
	// Run does the work. Requested is true if somebody asked for it by
	// annotation since the last time.
	Run func(ctx context.Context, patcher *Patcher, requested bool) (ctrl.Result, error)
}

// Reconcile reads the object and calls what its state asks for. An object that
// does not exist is no error.
func (h Head) Reconcile(ctx context.Context, req ctrl.Request, s Subject) (result ctrl.Result, err error) {
	obj := s.Object
	if err := h.Store.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	start := time.Now()
	patcher := h.Store.Patcher(obj)
	defer func() {
		if patchErr := patcher.Status(ctx); patchErr != nil && err == nil {
			err = patchErr
		}
		h.Metrics.RecordDuration(ctx, obj, start)
	}()

	if !obj.GetDeletionTimestamp().IsZero() {
		return h.finalize(ctx, s, patcher)
	}
	if h.Leaving != nil && h.Leaving() {
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(obj, h.Finalizer) {
		if err := patcher.Metadata(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	requested := false
	if token, ok := fluxmeta.ReconcileAnnotationValue(obj.GetAnnotations()); ok {
		requested = token != s.Request.GetLastHandledReconcileRequest()
		s.Request.SetLastHandledReconcileRequest(token)
	}
	if s.Suspended() {
		return ctrl.Result{}, nil
	}
	return s.Run(ctx, patcher, requested)
}

func (h Head) finalize(ctx context.Context, s Subject, patcher *Patcher) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.Object, h.Finalizer) {
		return ctrl.Result{}, nil
	}
	if err := s.Delete(ctx, patcher); err != nil {
		if e, ok := errors.AsType[*Error](err); ok && (e.Kind == KindProgressing || e.Kind == KindWaiting) {
			return ctrl.Result{RequeueAfter: e.After}, nil
		}
		return ctrl.Result{}, err
	}
	controllerutil.RemoveFinalizer(s.Object, h.Finalizer)
	if err := patcher.Metadata(ctx); err != nil {
		return ctrl.Result{}, err
	}
	h.Store.Forget(s.Object.GetUID())
	return ctrl.Result{}, nil
}
