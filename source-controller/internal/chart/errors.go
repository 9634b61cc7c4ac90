// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
)

// Reason is the class of an Error, and the reason of conditions.
type Reason string

// Reasons are Flux's.
const (
	// Reference: there is no such chart, or what is there is none.
	Reference Reason = "InvalidChartReference"
	// Pull: the chart or the index cannot be fetched now.
	Pull Reason = "ChartPullError"
	// MetadataPatch: the version of the chart takes no metadata.
	MetadataPatch Reason = "MetadataPatchError"
	// ValuesFiles: a file of values is missing or cannot be merged.
	ValuesFiles Reason = "ValuesFilesError"
	// DependencyBuild: a chart that this one needs cannot be added.
	DependencyBuild Reason = "DependencyBuildError"
	// Package: the chart is not one that Helm can load.
	Package Reason = "ChartPackageError"
)

// summaries begin the texts of errors, as Flux's do.
func (r Reason) summary() string {
	switch r {
	case Reference:
		return "invalid chart reference"
	case Pull:
		return "chart pull error"
	case MetadataPatch:
		return "chart metadata patch error"
	case ValuesFiles:
		return "values files merge error"
	case DependencyBuild:
		return "dependency build error"
	case Package:
		return "chart package error"
	}
	return "chart error"
}

// ErrAuthentication is wrapped by errors of repositories that do not accept the
// credentials.
var ErrAuthentication = errors.New("authentication failed")

// Denied marks an error as one that wraps ErrAuthentication, and leaves its text
// as it is.
func Denied(err error) error { return &deniedError{err} }

type deniedError struct{ err error }

func (e *deniedError) Error() string { return e.err.Error() }

// Unwrap returns the cause and its class.
func (e *deniedError) Unwrap() []error { return []error{e.err, ErrAuthentication} }

// Error says why there is no chart.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string { return e.Reason.summary() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Persistent reports whether only a change of what was asked for, or of the
// source, can help.
func (e *Error) Persistent() bool {
	return e.Reason == Reference || e.Reason == MetadataPatch || e.Reason == ValuesFiles
}

// Fetching reports whether the source is at fault and not the chart.
func (e *Error) Fetching() bool { return e.Reason == Reference || e.Reason == Pull }

func failf(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// within gives the cause of an error of this package another reason and more
// context.
func within(reason Reason, err error, format string, args ...any) error {
	if inner, ok := errors.AsType[*Error](err); ok {
		err = inner.Err
	}
	return &Error{Reason: reason, Err: fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)}
}

// transfer words what went wrong while something was transferred, without the
// URL, whose query may hold secrets.
func transfer(err error) error {
	for {
		wrapped, ok := errors.AsType[*url.Error](err)
		if !ok {
			break
		}
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the server did not answer in time; spec.timeout is the limit")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the connection ended in the middle of the answer")
	}
	return err
}
