// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
)

// A fixture is one cluster's directory and what the launcher is run with.
type fixture struct {
	t   *testing.T
	dir string
	env []string
}

// in returns the fixture for a subtest.
func (f *fixture) in(t *testing.T) *fixture {
	return &fixture{t: t, dir: f.dir, env: f.env}
}

// newFixture chooses a directory that is longer than the address of a socket may be.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	home := t.TempDir()
	f := &fixture{
		t:   t,
		dir: filepath.Join(home, strings.Repeat("long/", 20)+"cluster"),
		env: append(os.Environ(), "XDG_STATE_HOME="+home),
	}
	t.Cleanup(f.clear)
	return f
}

// clear ends what a failed test left.
func (f *fixture) clear() {
	if _, err := os.Stat(f.dir); err == nil {
		f.run("down")
	}
}

// launcher prepares to run a launcher.
func (f *fixture) launcher(verb string, args ...string) *exec.Cmd {
	f.t.Helper()
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	common := []string{verb, "--dir=" + f.dir}
	if verb == "up" {
		// Not even a test that is killed leaves a cluster.
		common = append(common, "--owner-pid="+strconv.Itoa(os.Getpid()))
	}
	cmd := exec.Command(self, append(common, args...)...)
	cmd.Env = f.env
	return cmd
}

// run runs a launcher and returns its exit code, its output and what it says to people.
func (f *fixture) run(verb string, args ...string) (code int, out, said string) {
	f.t.Helper()
	cmd := f.launcher(verb, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// must is run for a launcher that has to succeed.
func (f *fixture) must(verb string, args ...string) string {
	f.t.Helper()
	code, out, said := f.run(verb, args...)
	if code != 0 {
		f.t.Fatalf("%s %v ended with exit code %d:\n%s", verb, args, code, said)
	}
	return out
}

// refused is run for a launcher that has to fail and to say want.
func (f *fixture) refused(want, verb string, args ...string) {
	f.t.Helper()
	code, _, said := f.run(verb, args...)
	if code == 0 || !strings.Contains(said, want) {
		f.t.Errorf("%s %v ended with exit code %d and said %q, want an error with %q", verb, args, code, said, want)
	}
}

// state is what the launcher says about the cluster.
func (f *fixture) state() cluster.State {
	f.t.Helper()
	// The exit code tells whether the cluster is ready, which not all callers expect.
	_, out, said := f.run("status", "--output=json")
	var state cluster.State
	if err := json.Unmarshal([]byte(out), &state); err != nil {
		f.t.Fatalf("read the status: %v\n%s", err, said)
	}
	return state
}

// gone checks that no process and no directory is left.
func (f *fixture) gone() {
	f.t.Helper()
	f.eventually(func() string {
		if left := f.processes(); len(left) > 0 {
			return "processes are left:\n" + strings.Join(left, "\n")
		}
		if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
			return "the directory is left"
		}
		return ""
	})
}

// processes lists the commands of all processes that have the cluster's directory among their arguments.
func (f *fixture) processes() []string {
	f.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		f.t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && bytes.Contains(data, []byte(f.dir)) {
			found = append(found, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return found
}

// eventually repeats check until it has no complaint, for 20 s at most.
func (f *fixture) eventually(check func() string) {
	f.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(20 * time.Second)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatal(complaint)
		}
		<-ticker.C
	}
}

// startUntil starts "up" and returns when it has said text, while it goes on.
func (f *fixture) startUntil(text string, args ...string) (*exec.Cmd, *said) {
	f.t.Helper()
	cmd := f.launcher("up", args...)
	heard := &said{want: text, found: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = io.Discard, heard
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-heard.found:
	case <-time.After(2 * time.Minute):
		f.t.Fatalf("up never said %q", text)
	}
	return cmd, heard
}

// said collects what a launcher says. It is read when the launcher has ended.
type said struct {
	text  strings.Builder
	want  string
	found chan struct{}
	seen  bool
}

func (s *said) Write(p []byte) (int, error) {
	n, err := s.text.Write(p)
	if !s.seen && strings.Contains(s.text.String(), s.want) {
		s.seen = true
		close(s.found)
	}
	return n, err
}
