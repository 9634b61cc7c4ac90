// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package clock steps the clock of single processes, and leaves the machine's
// alone.
//
// A program of Go asks for the time of day in the vDSO, the page of code that
// the kernel maps into every process. A process has that page for itself as soon
// as somebody writes to it, as a debugger does for a breakpoint. Step writes a
// jump over the entry of clock_gettime there, to code that asks the kernel and
// adds what the clock is off by. Monotonic clocks are answered as they are, as
// they would be after a step of the machine's clock.
//
// What a process asks of the kernel in other ways is not stepped: the times of
// files, and the functions gettimeofday and time, which programs of Go do not
// call. Neither are processes that it starts: they have a page of their own.
package clock

import (
	"fmt"
	"time"
)

// Step has a process see the machine's time of day and so much, which may be
// negative; 0 has it see the machine's again. It is exact to the second, and
// takes Linux on amd64 and the right to trace the process, which one has over
// one's children. The process is stopped for some milliseconds, unless its clock is
// so already. One that does not exist is an error that wraps fs.ErrNotExist.
func Step(pid int, by time.Duration) error {
	if by.Abs() > most {
		return fmt.Errorf("step the clock of process %d: %s is more than %s", pid, by, most)
	}
	if err := step(pid, int32(by/time.Second)); err != nil { //#nosec G115 -- most fits
		return fmt.Errorf("step the clock of process %d: %w", pid, err)
	}
	return nil
}

// most is what a clock can be off by: the seconds are a signed number of 32 bits.
const most = (1<<31 - 1) * time.Second
