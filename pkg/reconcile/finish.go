// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/redact"
)

// Object is what Finish needs of a custom resource.
type Object interface {
	client.Object
	conditions.Setter
}

// Success is what an object says of itself when every phase has passed.
type Success struct {
	// Reason and Message of Ready=True.
	Reason, Message string
	// After is when to look again without an event, jitter included.
	After time.Duration
}

// Policy is how an object wants its failures treated.
type Policy struct {
	// RetryAfter is the fixed time between tries. Zero leaves the time to
	// the back-off of the work queue.
	RetryAfter time.Duration
	// SetObservedGeneration writes status.observedGeneration. It is called
	// on success and on a stall only: until then tools that compute the
	// status of objects must see the generation as not yet dealt with.
	SetObservedGeneration func(int64)
	// Failed is told of a failure or stall whose message differs from the
	// one that the object showed before, to emit the event.
	Failed func(reason, message string)
}

// Finish is the only writer of Ready, Reconciling and Stalled. It maps the
// error of the phases to conditions, calls the policy's hooks and returns
// what Reconcile returns.
//
//	nil         Ready=True
//	Progress    Ready=Unknown, Reconciling=True; a Ready that is True for
//	            this generation stays
//	Hold        Ready=Unknown, Reconciling=True
//	Wait, Fail  Ready=False, Reconciling=True (ProgressingWithRetry)
//	Stalled     Ready=False, Stalled=True, no retry
func Finish(obj Object, err error, ok Success, policy Policy) (ctrl.Result, error) {
	if err == nil {
		conditions.Delete(obj, meta.StalledCondition)
		conditions.Delete(obj, meta.ReconcilingCondition)
		conditions.MarkTrue(obj, meta.ReadyCondition, ok.Reason, "%s", ok.Message)
		policy.SetObservedGeneration(obj.GetGeneration())
		return ctrl.Result{RequeueAfter: ok.After}, nil
	}

	e := asError(err)
	message := redact.Error(e.Err)
	if e.Kind == KindProgressing || e.Kind == KindHeld {
		if e.Kind == KindHeld {
			conditions.MarkUnknown(obj, meta.ReadyCondition, e.Reason, "%s", message)
		}
		MarkProgressing(obj, e.Reason, message)
		return ctrl.Result{RequeueAfter: e.After}, nil
	}

	before := shown(obj)
	conditions.MarkFalse(obj, meta.ReadyCondition, e.Reason, "%s", message)
	// What is shown is compared, since a condition cuts off a long message.
	if shown(obj) != before && e.Kind != KindWaiting && policy.Failed != nil {
		policy.Failed(e.Reason, message)
	}

	if e.Kind == KindStalled {
		conditions.MarkStalled(obj, e.Reason, "%s", message)
		policy.SetObservedGeneration(obj.GetGeneration())
		return ctrl.Result{}, nil
	}
	conditions.Delete(obj, meta.StalledCondition)
	conditions.MarkReconciling(obj, meta.ProgressingWithRetryReason, "%s", message)
	switch {
	case e.Kind == KindWaiting:
		return ctrl.Result{RequeueAfter: e.After}, nil
	case policy.RetryAfter > 0:
		return ctrl.Result{RequeueAfter: policy.RetryAfter}, nil
	}
	return ctrl.Result{}, e
}

// shown is the reason and message that the object gives for not being ready,
// or for being so.
func shown(obj Object) [2]string {
	return [2]string{conditions.GetReason(obj, meta.ReadyCondition), conditions.GetMessage(obj, meta.ReadyCondition)}
}

// MarkProgressing announces work under way without taking back a Ready=True
// that still holds for the generation at hand.
func MarkProgressing(obj Object, reason, message string) {
	conditions.Delete(obj, meta.StalledCondition)
	conditions.MarkReconciling(obj, reason, "%s", message)
	holds := conditions.IsTrue(obj, meta.ReadyCondition) &&
		conditions.GetObservedGeneration(obj, meta.ReadyCondition) == obj.GetGeneration()
	if !holds {
		conditions.MarkUnknown(obj, meta.ReadyCondition, reason, "%s", message)
	}
}

// InBackground reports whether err says that work goes on which obj does not
// show, such as a poll, or another try of what failed. Then nothing has to be
// written: the object goes on showing what is known of it.
func InBackground(obj Object, err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == KindProgressing && conditions.GetReason(obj, meta.ReconcilingCondition) != meta.ProgressingReason
}

// Announce shows that a new generation, or a request by annotation, is being
// worked on, and reports whether there is that to show. An object that failed
// for this generation goes on showing why, unless it was requested.
func Announce(obj Object, observed int64, requested bool) bool {
	generation := obj.GetGeneration()
	failed := conditions.IsFalse(obj, meta.ReadyCondition) && conditions.GetObservedGeneration(obj, meta.ReadyCondition) == generation
	switch {
	case requested:
		MarkProgressing(obj, meta.ProgressingReason, "reconciliation in progress")
	case generation != observed && !failed:
		MarkProgressing(obj, meta.ProgressingReason, fmt.Sprintf("processing object: new generation %d -> %d", observed, generation))
	default:
		return false
	}
	return true
}
