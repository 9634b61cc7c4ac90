// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process that does not stop for so long waits for a disk, or is stopped and
// continued by somebody else.
const patience = 10 * time.Second

// errWithin says that a thread is where the code is to change.
var errWithin = errors.New("a thread is on its way into clock_gettime")

// halt stops a process in a moment when no thread is within the bytes from an
// address on; where they begin is fine. It may go on when resume is called.
//
// A thread that a signal has called away from there is not seen. It would have to
// be between the first two instructions at the signal, and in its handler now.
func halt(pid int, address uint64, length int) (resume func() error, err error) {
	resume = func() error { return signal(pid, syscall.SIGCONT) }
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	if err := signal(pid, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	for {
		err := quiet(pid, address, length)
		if err == nil {
			return resume, nil
		}
		if errors.Is(err, fs.ErrNotExist) && signal(pid, 0) != nil {
			return nil, fs.ErrNotExist
		}
		if errors.Is(err, errWithin) {
			err = errors.Join(err, signal(pid, syscall.SIGCONT), signal(pid, syscall.SIGSTOP))
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return nil, errors.Join(fmt.Errorf("it did not stop within %s: %w", patience, err), resume())
		}
	}
}

// quiet returns nil if all threads of a process are stopped, and none of them is
// within the bytes from an address on.
func quiet(pid int, address uint64, length int) error {
	threads, err := filepath.Glob(file(pid, "task/[0-9]*"))
	if err != nil {
		return err
	}
	if len(threads) == 0 {
		return fs.ErrNotExist
	}
	for _, thread := range threads {
		at, err := position(thread)
		if err != nil {
			return err
		}
		if at > address && at < address+uint64(length) {
			return errWithin
		}
	}
	return nil
}

// position returns the address of the next instruction of a thread. One that has
// ended has none, and one that runs is an error.
func position(thread string) (uint64, error) {
	stat, err := os.ReadFile(filepath.Join(thread, "stat"))
	if err != nil {
		return 0, err
	}
	// "pid (any name) T ..."
	_, state, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	switch state[:1] {
	case "Z", "X":
		return 0, nil
	case "T", "t":
	default:
		return 0, fmt.Errorf("a thread is in state %s", state[:1])
	}
	// "number arguments... stack position", or "-1 stack position"
	call, err := os.ReadFile(filepath.Join(thread, "syscall"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(call))
	if len(fields) < 3 {
		return 0, fmt.Errorf("a thread is %s", call)
	}
	return strconv.ParseUint(fields[len(fields)-1], 0, 64)
}

func signal(pid int, signal syscall.Signal) error {
	err := syscall.Kill(pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return fs.ErrNotExist
	}
	return err
}
