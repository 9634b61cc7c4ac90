// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// poll bounds how long a watch sleeps before it looks whether its context has ended.
const poll = 200 * time.Millisecond

// A Handle names a process for good: unlike a process number, it never comes to mean another process.
type Handle struct {
	fd int
}

// Open returns a handle on the process with that number, of any parent. Close it.
func Open(pid int) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return &Handle{fd: fd}, nil
}

// Wait returns nil when the process has ended, or the cause of ctx's end.
func (h *Handle) Wait(ctx context.Context) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}, int(poll.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for a process: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
}

// Kill ends the process at once. It is not an error if it has ended already.
func (h *Handle) Kill() error {
	if err := unix.PidfdSendSignal(h.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill a process: %w", err)
	}
	return nil
}

// Close drops the handle and leaves the process alone.
func (h *Handle) Close() {
	// The descriptor is ours alone: closing it cannot fail in a way that matters.
	_ = unix.Close(h.fd)
}
