// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/fluxcd/pkg/runtime/logger"
)

var (
	// errAnew marks the end of a process that is well, and has to begin anew: with
	// empty caches, and as a candidate.
	errAnew = errors.New("begin anew")
	// ErrStopped is the error of New if the process was told to end while it waited. To
	// Ended it is none.
	ErrStopped = errors.New("the controller was stopped before it began")
)

// anew is the reason to begin anew.
type anew struct{ error }

// Is makes it known through whatever it is wrapped in.
func (anew) Is(target error) bool { return target == errAnew }

func (a anew) Unwrap() error { return a.error }

// begin marks the reason to begin anew.
func begin(reason error) error { return anew{reason} }

// Ended returns the status that the process of a controller ends with. Why it
// could not go on is the last line of its log, in the form of the others.
//
// It does not return if the process is well and has to begin anew, as when it lost
// its lease because the API server was away: the program is then started again in
// the same process. Nothing of the one before is left, as after any end; but nobody
// takes it for a container that fails, and keeps it from starting for minutes.
func (o *Options) Ended(err error) (status int) {
	if err == nil || errors.Is(err, ErrStopped) {
		return 0
	}
	log := logger.NewLogger(o.Log)
	if errors.Is(err, errAnew) {
		log.Error(err, "the controller begins anew")
		endChildren()
		err = replace()
	}
	log.Error(err, "the controller has ended")
	return 1
}

// replace starts this program again, in place of itself, with the same arguments and
// environment. It returns only if that fails.
func replace() error {
	program, err := os.Executable()
	if err == nil {
		err = syscall.Exec(program, os.Args, os.Environ()) //#nosec G204 G702 -- the program that runs, as it was started
	}
	return fmt.Errorf("start the controller again in the same process: %w", err)
}
