// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package port

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	r := reserve(t)
	if conn, err := net.Dial("tcp", address(r)); err == nil {
		_ = conn.Close()
		t.Error("a reserved port that nobody listens on accepts connections")
	}
	if err := listen(t, r, false); err == nil {
		t.Error("a program that shares no ports could take the reserved one")
	}
	// A component is started, and started again.
	for range 2 {
		if err := listen(t, r, true); err != nil {
			t.Errorf("a program that shares ports could not listen: %v", err)
		}
	}
}

func TestReserveNeverTwice(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 200 {
		r := reserve(t)
		if seen[r.Port] {
			t.Fatalf("port %d was reserved twice", r.Port)
		}
		seen[r.Port] = true
	}
}

func reserve(t *testing.T) *Reservation {
	t.Helper()
	r, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	return r
}

func address(r *Reservation) string {
	return fmt.Sprintf("127.0.0.1:%d", r.Port)
}

// listen listens on the reserved port, takes one connection, and stops.
func listen(t *testing.T, r *Reservation, shared bool) error {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if !shared {
			return nil
		}
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err != nil {
			return err
		}
		return failed
	}}
	listener, err := config.Listen(t.Context(), "tcp", address(r))
	if err != nil {
		return err
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", address(r))
	if err != nil {
		return err
	}
	return conn.Close()
}
