// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"fmt"
	"time"
)

// Classes of errors. Every error of this package wraps one of them, or that of
// the caller's context.
var (
	// ErrImage means that a text does not name a repository or an image.
	ErrImage = errors.New("invalid image")
	// ErrUnsupported means that the object asks for what is not built.
	ErrUnsupported = errors.New("unsupported")
	// ErrAuthentication means that credentials are missing, broken, or
	// refused by the registry.
	ErrAuthentication = errors.New("authentication failed")
	// ErrNotFound means that the registry has no such repository, tag,
	// manifest or blob, or does not say so to this credential.
	ErrNotFound = errors.New("not found")
	// ErrThrottled means that the registry asked to be left alone for a while;
	// see RetryAfter.
	ErrThrottled = errors.New("throttled")
	// ErrTooLarge means that an answer is larger than it may be.
	ErrTooLarge = errors.New("too large")
	// ErrMalformed means that an answer is not what the protocol asks for, or
	// that bytes do not have the digest that they were asked for by.
	ErrMalformed = errors.New("malformed answer")
	// ErrUnavailable means that the registry did not answer, or with an error.
	ErrUnavailable = errors.New("registry unavailable")
)

// classError is an error of one class whose text is for users.
type classError struct {
	class error
	text  string
	cause error
	after time.Duration
}

func (e *classError) Error() string { return e.text }

// Unwrap returns the class and the cause.
func (e *classError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.class}
	}
	return []error{e.class, e.cause}
}

// failf returns an error of a class.
func failf(class error, format string, args ...any) error {
	return &classError{class: class, text: fmt.Sprintf(format, args...)}
}

// RetryAfter returns how long the registry asked to be left alone, if err is
// ErrThrottled, and zero otherwise.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*classError](err); ok {
		return e.after
	}
	return 0
}

// throttled returns the error for a host that wants to be left alone.
func throttled(host string, after time.Duration) error {
	return &classError{
		class: ErrThrottled, after: after,
		text: "the registry " + host + " asks not to be called for a while (too many requests)",
	}
}
