// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package health tells whether objects of a cluster have become what they
// were meant to be: kstatus for all kinds, and rules of its own where kstatus
// says less than a user means by healthy.
package health

import (
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Status is the health of one object, in kstatus's words.
type Status = status.Status

// The statuses that callers tell apart.
const (
	Current     = status.CurrentStatus
	InProgress  = status.InProgressStatus
	Failed      = status.FailedStatus
	Terminating = status.TerminatingStatus
	NotFound    = status.NotFoundStatus
	Unknown     = status.UnknownStatus
)

// Result is the health of one object and the reason for it.
type Result struct {
	Status Status
	// Message says what is missing; empty when Current.
	Message string
	// Finished is set on objects that run to completion and have.
	Finished bool
}

var job = schema.GroupKind{Group: "batch", Kind: "Job"}

// Of computes the health of a live object. An object that cannot be judged is
// Unknown, with the reason.
func Of(obj *unstructured.Unstructured) Result {
	if RunsToCompletion(obj.GroupVersionKind().GroupKind()) {
		return ofJob(obj)
	}
	res, err := status.Compute(obj)
	if err != nil {
		return Result{Status: Unknown, Message: err.Error()}
	}
	result := Result{Status: res.Status, Message: strings.TrimSpace(res.Message)}
	if res.Status == Current {
		result.Message = ""
	}
	return result
}

// ofJob waits for a job of any kind to complete, where kstatus is content with
// a start: what depends on a training run depends on its result. A suspended
// job counts as Current, as in Flux, unless a queue holds it back, which ends
// by itself.
func ofJob(obj *unstructured.Unstructured) Result {
	if finished, succeeded, message := completion(obj); finished {
		if succeeded {
			return Result{Status: Current, Finished: true}
		}
		return Result{Status: Failed, Message: message, Finished: true}
	}
	if obj.GetDeletionTimestamp() != nil {
		return Result{Status: Terminating, Message: obj.GetKind() + " is being deleted"}
	}
	if suspended(obj) {
		if obj.GetLabels()["kueue.x-k8s.io/queue-name"] == "" {
			return Result{Status: Current}
		}
		return Result{Status: InProgress, Message: obj.GetKind() + " is queued"}
	}
	if obj.GroupVersionKind().GroupKind() != job {
		return Result{Status: InProgress, Message: obj.GetKind() + " has not finished"}
	}
	succeeded, _, _ := unstructured.NestedInt64(obj.Object, "status", "succeeded")
	wanted, found, _ := unstructured.NestedInt64(obj.Object, "spec", "completions")
	if !found {
		wanted = 1
	}
	return Result{Status: InProgress, Message: fmt.Sprintf("Job has completed %d of %d pods", succeeded, wanted)}
}

// suspended reports whether somebody holds a job back. Kubeflow's kinds say so
// in their run policy.
func suspended(obj *unstructured.Unstructured) bool {
	inSpec, _, _ := unstructured.NestedBool(obj.Object, "spec", "suspend")
	inPolicy, _, _ := unstructured.NestedBool(obj.Object, "spec", "runPolicy", "suspend")
	return inSpec || inPolicy
}
