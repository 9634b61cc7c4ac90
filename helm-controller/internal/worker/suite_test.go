// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// childArg makes this test binary a child, and ownerArg a process with a pool.
	childArg = "worker-child"
	ownerArg = "worker-owner"
	// deadline of anything that a test waits for.
	deadline = 60 * time.Second
	message  = 1 << 20
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childArg {
		exit(serveChild(os.Args[2]))
	}
	if len(os.Args) == 2 && os.Args[1] == ownerArg {
		exit(own())
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveChild does what it is told.
func serveChild(memory string) error {
	bytes, err := strconv.ParseInt(memory, 10, 64)
	if err != nil {
		return err
	}
	if err := Confine(bytes); err != nil {
		return err
	}
	conn := NewConn(os.Stdin, os.Stdout, message)
	for {
		var told string
		if err := conn.Receive(&told); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := conn.Send(obey(told)); err != nil {
			return err
		}
	}
}

func obey(told string) string {
	switch told {
	case "eat":
		var eaten [][]byte
		for len(eaten) < 1<<20 {
			eaten = append(eaten, []byte(strings.Repeat("x", 1<<20)))
		}
		return strconv.Itoa(len(eaten))
	case "dive":
		return strconv.Itoa(dive(0))
	case "hang":
		for n := 0; ; n++ {
			if n < 0 {
				return told
			}
		}
	case "exit":
		os.Exit(3)
	case "talk":
		return strings.Repeat("x", message+1)
	case "environment":
		return strings.Join(os.Environ(), "\n")
	}
	return strconv.Itoa(os.Getpid())
}

func dive(n int) int {
	var deep [128]int
	if n < 0 {
		return 0
	}
	deep[n%len(deep)] = n
	return dive(n+1) + deep[(n+1)%len(deep)]
}

func options(count int) Options {
	return Options{Command: []string{"/proc/self/exe", childArg}, Count: count, Memory: MinMemory, Message: message}
}

func newPool(t *testing.T, count int) *Pool {
	t.Helper()
	p := New(options(count))
	t.Cleanup(p.Close)
	return p
}

// own has a child hang, and says which.
func own() error {
	p := New(options(1))
	return p.Do(context.Background(), deadline, func(c *Conn) error {
		got, err := tell(c, "pid")
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(os.Stdout, got)
		_, err = tell(c, "hang")
		return err
	})
}

// tell has a child do something, and returns what it says.
func tell(c *Conn, told string) (string, error) {
	if err := c.Send(told); err != nil {
		return "", err
	}
	var said string
	return said, c.Receive(&said)
}
