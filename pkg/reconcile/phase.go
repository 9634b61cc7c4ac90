// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package reconcile gives every Weir controller the same shape.
//
// A Reconcile reads its object, runs a list of phases that fill a scope, and
// ends in one place: Finish turns the error of the phases, or its absence,
// into conditions, an event and the time of the next run. Phases never touch
// Ready, Reconciling or Stalled themselves; they return one of the errors of
// this package and say why.
package reconcile

import "context"

// Phase is one step of a reconcile. It reads what earlier phases left in the
// scope, adds its own, and returns nil to go on with the next phase.
type Phase[S any] func(ctx context.Context, scope S) error

// Run calls the phases in order and stops at the first error.
func Run[S any](ctx context.Context, scope S, phases ...Phase[S]) error {
	for _, phase := range phases {
		if err := phase(ctx, scope); err != nil {
			return err
		}
	}
	return nil
}
