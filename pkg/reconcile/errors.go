// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
)

// Kind says what the caller of a phase has to do about its error.
type Kind int

const (
	// KindFailed is retried: at the object's retry interval if it has one,
	// with the back-off of the work queue otherwise.
	KindFailed Kind = iota
	// KindStalled is not retried: nothing helps until somebody edits the
	// object or the controller's configuration.
	KindStalled
	// KindWaiting is looked at again after a fixed time: something that
	// the object depends on is not there yet.
	KindWaiting
	// KindProgressing is not a failure: work goes on in the cluster and an
	// event, or the given time, brings the object back.
	KindProgressing
	// KindHeld is as KindProgressing, and takes a Ready=True back: what is
	// waited for may take any time, and until then nobody may rely on it.
	KindHeld
)

// Error is the one error type that phases return to Finish. Any other error
// counts as KindFailed with the reason "Failed".
type Error struct {
	// Kind decides between retry, wait and stall.
	Kind Kind
	// Reason becomes the reason of the Ready condition.
	Reason string
	// After is when to look again; it counts for KindWaiting, and for
	// KindProgressing and KindHeld, where zero means: only when an event
	// comes.
	After time.Duration
	// Err is the cause, and its text the message of the condition.
	Err error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail says that the reconcile failed for the given reason and is worth
// trying again.
func Fail(reason string, err error) error {
	return &Error{Kind: KindFailed, Reason: reason, Err: err}
}

// Stalled says that no retry can help until somebody edits something.
func Stalled(reason string, err error) error {
	return &Error{Kind: KindStalled, Reason: reason, Err: err}
}

// Wait says that something is missing which is not this object's doing, and
// when to look again.
func Wait(after time.Duration, reason string, err error) error {
	return &Error{Kind: KindWaiting, Reason: reason, After: after, Err: err}
}

// Progress says that all is well so far but not yet done. The error's text is
// the progress message.
func Progress(after time.Duration, reason string, err error) error {
	return &Error{Kind: KindProgressing, Reason: reason, After: after, Err: err}
}

// Hold says that all is well and that nobody knows when it is done. The
// error's text is the message.
func Hold(after time.Duration, reason string, err error) error {
	return &Error{Kind: KindHeld, Reason: reason, After: after, Err: err}
}

// asError gives any error the form that Finish works with.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: KindFailed, Reason: meta.FailedReason, Err: err}
}
