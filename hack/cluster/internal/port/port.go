// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package port reserves TCP ports on loopback for programs that are started later, and started again.
package port

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A Reservation keeps a port of 127.0.0.1 for this user's programs that set SO_REUSEPORT, until Release. It does not
// listen, so connections go to whichever program does.
//
// Closing a port that was found free and hoping that it still is when the program starts is a race that several
// clusters starting at once do lose; holding it is not.
type Reservation struct {
	Port int

	fd int
}

// Reserve picks a free port.
func Reserve() (*Reservation, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	r := &Reservation{fd: fd}
	if err := r.bind(); err != nil {
		r.Release()
		return nil, fmt.Errorf("reserve a port of 127.0.0.1: %w", err)
	}
	return r, nil
}

// Release gives the port back.
func (r *Reservation) Release() {
	// The descriptor is ours alone and not in use: closing it cannot fail in a way that matters.
	_ = unix.Close(r.fd)
}

func (r *Reservation) bind() error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(r.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := unix.Getsockname(r.fd)
	if err != nil {
		return err
	}
	inet, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("the kernel returned an address of type %T", name)
	}
	r.Port = inet.Port
	return nil
}
