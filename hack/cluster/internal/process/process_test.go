// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestGroupReportsUnexpectedEnd(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	p, err := g.Start(shell(t, "echo some; echo last words >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case ended := <-g.Ended():
		if ended != p || ended.Outcome() != "exit status 3" {
			t.Errorf("%s ended with %q, want %s with exit status 3", ended.Name, ended.Outcome(), p.Name)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the end of a process was not reported")
	}
	if got, want := Tail(p.Log, 1), "last words"; got != want {
		t.Errorf("the tail of its log is %q, want %q", got, want)
	}
}

func TestGroupKeepsQuietAboutStopped(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	p, err := g.Start(shell(t, "exec sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Outcome(); got != "running" {
		t.Errorf("outcome of a running process is %q", got)
	}
	p.Stop()
	if err := syscall.Kill(p.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("after Stop the process is there: %v", err)
	}
	if code, err := g.Finish(t.Context(), shell(t, "exit 4")); code != 4 || err != nil {
		t.Errorf("Finish returned %d, %v; want 4", code, err)
	}
	select {
	case ended := <-g.Ended():
		t.Errorf("the end of %s was reported: %s", ended.Name, ended.Outcome())
	default:
	}
}

func TestGroupClose(t *testing.T) {
	t.Parallel()
	g := NewGroup()
	p, err := g.Start(shell(t, "trap '' TERM INT; exec sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	if err := syscall.Kill(p.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("after Close the process is there: %v", err)
	}
	if _, err := g.Start(shell(t, "exit 0")); !errors.Is(err, ErrClosed) {
		t.Errorf("Start after Close returned %v, want ErrClosed", err)
	}
}

func TestFinishInterrupted(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	cause := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := g.Finish(ctx, shell(t, "exec sleep 600")); !errors.Is(err, cause) {
		t.Errorf("Finish returned %v, want the cause of its context's end", err)
	}
}

func TestStartMissing(t *testing.T) {
	t.Parallel()
	spec := shell(t, "")
	spec.Path = filepath.Join(t.TempDir(), "missing")
	if _, err := newGroup(t).Start(spec); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "start shell") {
		t.Errorf("Start of a missing program returned %v, want an error that names both", err)
	}
}

func TestHandle(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	p, err := g.Start(shell(t, "exec sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	cause := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := h.Wait(ctx); !errors.Is(err, cause) {
		t.Errorf("Wait for a running process returned %v, want the cause of its context's end", err)
	}
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	<-p.done
	if err := h.Kill(); err != nil {
		t.Errorf("Kill of a process that has ended: %v", err)
	}
	if _, err := Open(p.PID); err == nil {
		t.Error("Open of a process that has ended succeeded")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("x", 99)+"\n", 2000)
	tests := map[string]struct{ content, want string }{
		"empty":           {"", ""},
		"fewer lines":     {"a\n", "a"},
		"more lines":      {"a\nb\nc\n", "b\nc"},
		"no final break":  {"a\nb\nc", "b\nc"},
		"longer than 64K": {long + "b\nc\n", "b\nc"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := Tail(path, 2); got != tt.want {
				t.Errorf("Tail is %q, want %q", got, tt.want)
			}
		})
	}
	if got := Tail(filepath.Join(t.TempDir(), "missing"), 2); got != "" {
		t.Errorf("Tail of a missing file is %q", got)
	}
}

func newGroup(t *testing.T) *Group {
	t.Helper()
	g := NewGroup()
	t.Cleanup(g.Close)
	return g
}

func shell(t *testing.T, script string) Spec {
	t.Helper()
	dir := t.TempDir()
	return Spec{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Dir: dir, Env: os.Environ(), Log: filepath.Join(dir, "log")}
}
