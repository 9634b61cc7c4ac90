// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package lock provides locks between processes that the kernel drops by itself when their holder dies, however it dies.
package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrHeld says that another holder has the lock.
var ErrHeld = errors.New("lock is held")

// retry is how often Acquire looks again. The lock itself is the kernel's, so this bounds only the delay.
const retry = 100 * time.Millisecond

// A Lock is an exclusive lock on a file. Another process gets it when this one calls Release or ends.
type Lock struct {
	file *os.File
}

// Try takes the lock on the file at path, creating the file and its directory (mode 0700) if need be. It returns
// ErrHeld if somebody else has it.
func Try(path string) (*Lock, error) {
	for {
		l, err := open(path)
		if err != nil {
			return nil, err
		}
		current, err := l.current()
		if err != nil || current {
			return l, err
		}
		// The holder before us removed the file between our opening and our locking it: what we locked has no name any more.
		l.Release()
	}
}

// Acquire is Try, repeated until it succeeds or ctx ends. waiting, if not nil, is called once if somebody else has the lock.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	ticker := time.NewTicker(retry)
	defer ticker.Stop()
	for {
		l, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Held reports whether some process has the lock on path. It creates nothing.
func Held(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	err = flock(file, syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, ErrHeld) {
		return true, nil
	}
	return false, err
}

// Release gives the lock back and leaves the file. It may be called twice.
func (l *Lock) Release() {
	// Closing drops the lock; there is nothing to do about an error of either.
	_ = l.file.Close()
}

func open(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(file, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Lock{file: file}, nil
}

// current reports whether the locked file is still the one that its path names.
func (l *Lock) current() (bool, error) {
	ours, err := l.file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(l.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(ours, named), nil
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("%w: %s", ErrHeld, file.Name())
		default:
			return fmt.Errorf("lock %s: %w", file.Name(), err)
		}
	}
}
