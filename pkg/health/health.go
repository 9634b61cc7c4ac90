// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package health tells whether objects of a cluster have become what they
// were meant to be: by a table of rules for the kinds of ML platforms, where
// kstatus says less than a user means by healthy, and by kstatus for all
// others.
package health

import (
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

	// Queued objects wait for devices that others use. They have not begun,
	// nothing is wrong with them, and nobody knows how long it takes.
	Queued Status = "Queued"
)

// Result is the health of one object and the reason for it.
type Result struct {
	Status Status
	// Message says what is missing; empty when Current. It has at most
	// maxMessage bytes.
	Message string
	// Ends is set on objects that run to completion.
	Ends bool
	// Finished is set on objects that run to completion and have.
	Finished bool
	// FailedAt is from when on a Failed counts, in seconds of Unix time.
	// Until then it may be over by itself. Zero: at once.
	FailedAt int64
}

// maxMessage bounds the text that is kept of each object.
const maxMessage = 1024

// Of computes the health of a live object. An object that cannot be judged is
// Unknown, with the reason.
func Of(obj *unstructured.Unstructured) Result {
	var result Result
	if r := rules[obj.GroupVersionKind().GroupKind()]; r != nil {
		result = r.judge(obj)
	} else {
		result = byKstatus(obj)
	}
	result.Message = clip(result.Message)
	return result
}

func byKstatus(obj *unstructured.Unstructured) Result {
	res, err := status.Compute(obj)
	if err != nil {
		return Result{Status: Unknown, Message: err.Error()}
	}
	result := Result{Status: res.Status, Message: res.Message}
	if res.Status == Current {
		result.Message = ""
	}
	return result
}

// clip shortens a message, and copies it: part of a larger text would keep all
// of that in memory.
func clip(message string) string {
	message = strings.TrimSpace(message)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return strings.Clone(message)
}
