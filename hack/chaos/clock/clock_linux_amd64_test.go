// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package clock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/weir-gitops/weir/hack/chaos/clock"
)

// childVariable has this program be the child whose clock is stepped.
const childVariable = "WEIR_CLOCK_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		tell()
		return
	}
	os.Exit(m.Run())
}

// tell answers each line that it reads with the time of day and the time since
// the beginning on the monotonic clock. Others ask for the time all the while.
func tell() {
	for range 4 {
		go func() {
			for time.Now().Unix() != 0 {
				continue
			}
		}()
	}
	begun := time.Now()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		now := time.Now()
		fmt.Println(now.UnixNano(), int64(now.Sub(begun)))
	}
}

// A child answers with its clocks.
type child struct {
	*exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	last time.Duration // what its monotonic clock said
}

func start(t *testing.T) *child {
	t.Helper()
	c := &child{Cmd: exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])}
	c.Env = append(os.Environ(), childVariable+"=1")
	c.Stderr = os.Stderr
	var err error
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.in.Close(), c.Wait()); err != nil {
			t.Errorf("the child has ended badly: %v", err)
		}
	})
	return c
}

// ask returns what the child's clocks say.
func (c *child) ask(t *testing.T) (day time.Time, monotonic time.Duration) {
	t.Helper()
	var nano, since int64
	_, err := fmt.Fprintln(c.in)
	if err == nil {
		_, err = fmt.Fscanln(c.out, &nano, &since)
	}
	if err != nil {
		t.Fatalf("ask the child for the time: %v", err)
	}
	return time.Unix(0, nano), time.Duration(since)
}

// check compares the child's clocks with ours around a question.
func (c *child) check(t *testing.T, begun time.Time, off time.Duration) {
	t.Helper()
	before := time.Now().Round(0)
	day, monotonic := c.ask(t)
	after := time.Now().Round(0)
	if day.Before(before.Add(off)) || day.After(after.Add(off)) {
		t.Errorf("the child's clock is off by %s, want %s", day.Sub(before), off)
	}
	if passed := time.Since(begun); monotonic < c.last || monotonic > passed {
		t.Errorf("the monotonic clock of the child went from %s to %s, and no more than %s have passed", c.last, monotonic, passed)
	}
	c.last = monotonic
}

func TestStep(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	stepped, other := start(t), start(t)
	stepped.check(t, begun, 0)
	for range 5 {
		for _, by := range []time.Duration{time.Hour, -time.Hour, 0, 0, -time.Second} {
			if err := clock.Step(stepped.Process.Pid, by); err != nil {
				t.Fatal(err)
			}
			stepped.check(t, begun, by)
			other.check(t, begun, 0)
		}
	}
}

func TestStepRefuses(t *testing.T) {
	t.Parallel()
	ended := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	if err := clock.Step(ended.Process.Pid, time.Hour); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that has ended: %v, want %v", err, fs.ErrNotExist)
	}
	c := start(t)
	if err := clock.Step(c.Process.Pid, 100*365*24*time.Hour); err == nil {
		t.Error("a step by a hundred years was taken")
	}
	c.check(t, time.Now().Add(-time.Minute), 0)
}
