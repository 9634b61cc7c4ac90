// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// Reasons for which a cluster ends, or does not start, that are nobody's mistake.
var (
	ErrInterrupted = errors.New("interrupted")
	ErrOwnerEnded  = errors.New("the owner process has ended")
)

// SuperviseCommand is the launcher's first argument under which it calls ServeSupervisor. The directory follows, for
// those who look at the list of processes.
const SuperviseCommand = "supervise"

// An Event is one line of what a supervisor tells the launcher that started it. One field is set, or Step and Seconds.
type Event struct {
	Step    string  `json:"step,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // since the start
	Ready   *State  `json:"ready,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// released is the line by which the launcher lets the supervisor go on alone.
const released = "released"

// Up starts a supervisor as a process of its own and returns when its cluster is ready. If ctx ends before, or this
// process dies, the supervisor removes the cluster; Up returns when it is gone.
func Up(ctx context.Context, opts Options, report func(Event)) (State, error) {
	if err := opts.Validate(); err != nil {
		return State{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return State{}, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, SuperviseCommand, opts.Dir)
	cmd.Stderr = os.Stderr
	// It must not keep the directory busy in which the user happens to be.
	cmd.Dir = "/"
	// A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return State{}, err
	}
	events, err := cmd.StdoutPipe()
	if err != nil {
		return State{}, err
	}
	if err := cmd.Start(); err != nil {
		return State{}, fmt.Errorf("start the supervisor: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = lifeline.Close() })
	defer stop()
	// If the supervisor cannot take them, its silence says so as well.
	_ = json.NewEncoder(lifeline).Encode(opts)
	state, failure := follow(events, report)
	if state != nil && stop() {
		if _, err := fmt.Fprintln(lifeline, released); err == nil {
			return *state, nil
		}
	}
	_ = lifeline.Close()
	// Its exit code adds nothing to the event that it sent before.
	_ = cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return State{}, cause
	}
	if failure == nil {
		failure = errors.New("the supervisor ended before it was left alone")
	}
	return State{}, failure
}

// follow reads events until the cluster is ready or cannot become so.
func follow(events io.Reader, report func(Event)) (*State, error) {
	decoder := json.NewDecoder(events)
	for {
		var event Event
		if err := decoder.Decode(&event); err != nil {
			return nil, errors.New("the supervisor ended without a word")
		}
		switch {
		case event.Ready != nil:
			return event.Ready, nil
		case event.Error != "":
			return nil, errors.New(event.Error)
		default:
			report(event)
		}
	}
}

// ServeSupervisor is the other end of Up: it reads options and then the launcher's release from in, and writes events
// to out. It returns when the cluster is gone, which it is after ctx's end.
func ServeSupervisor(ctx context.Context, in io.Reader, out io.WriteCloser) error {
	// A launcher that was killed no longer reads; that must not kill us before the directory is removed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the options: %w", err)
	}
	var opts Options
	if err := json.Unmarshal(line, &opts); err != nil {
		return fmt.Errorf("read the options: %w", err)
	}
	var alone atomic.Bool
	go func() {
		line, err := reader.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != released {
			cancel(ErrInterrupted)
			return
		}
		alone.Store(true)
		_ = out.Close()
	}()
	encoder := json.NewEncoder(out)
	report := func(event Event) {
		if event.Ready != nil {
			redirect(layout(opts.Dir))
		}
		// If nobody listens any more, the end of the lifeline says so as well.
		_ = encoder.Encode(event)
	}
	err = Run(ctx, opts, report)
	switch {
	case err != nil && alone.Load():
		return errors.Join(err, recordCrash(opts, err))
	case err != nil:
		report(Event{Error: err.Error()})
	case !alone.Load():
		report(Event{Error: "somebody ended it before it was ready"})
	}
	return err
}

// WithSignals returns a context that ends with ErrInterrupted when this process is asked to end. After that, or after
// the function that it returns, signals have their usual effect again.
func WithSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case <-signals:
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// WithOwner returns a context that also ends when the process with that number does, with ErrOwnerEnded, and a function
// that stops watching. With 0 the context is parent's.
func WithOwner(parent context.Context, pid int) (context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithCancelCause(parent)
	release := func() { cancel(nil) }
	if pid == 0 {
		return ctx, release, nil
	}
	owner, err := process.Open(pid)
	if err != nil {
		release()
		return nil, nil, fmt.Errorf("watch the owner process: %w", err)
	}
	go func() {
		defer owner.Close()
		if err := owner.Wait(ctx); err == nil {
			cancel(ErrOwnerEnded)
		}
	}()
	return ctx, release, nil
}

// redirect sends what the Go runtime says last, if it has to, into the cluster's directory and away from a terminal that
// is no longer ours.
func redirect(l layout) {
	file, err := os.OpenFile(l.log("supervisor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	_ = unix.Dup3(int(file.Fd()), int(os.Stderr.Fd()), 0)
}
