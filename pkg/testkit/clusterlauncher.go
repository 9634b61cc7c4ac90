// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// launchPatience is how long a launcher that was told to stop gets to clear
// up before it is killed.
const launchPatience = 30 * time.Second

// A launcher runs hack/cluster from its sources. The go command keeps the
// compiled program, so that costs a fifth of a second.
type launcher struct {
	dir      string // of the module
	progress io.Writer
}

// findLauncher looks for hack/cluster beside the module that this file was
// compiled from, and around the working directory.
func findLauncher(progress io.Writer) (launcher, error) {
	var roots []string
	// A test that was built without paths does not know where it is from.
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		roots = append(roots, filepath.Join(filepath.Dir(file), "..", ".."))
	}
	wd, err := os.Getwd()
	if err != nil {
		return launcher{}, err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		roots = append(roots, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for _, root := range roots {
		dir := filepath.Join(root, "hack", "cluster")
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return launcher{dir: dir, progress: progress}, nil
		}
	}
	return launcher{}, errors.New("hack/cluster was not found; run inside a checkout of weir")
}

// run runs the launcher with args and decodes what it prints into result, if
// any. If ctx ends, the launcher clears up what it began before run returns.
func (l launcher) run(ctx context.Context, result any, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "."}, args...)...)
	cmd.Dir = l.dir
	// The module is outside the workspace, and flags meant for ours may not suit
	// it, but for the one that decides what can be shared with the Makefile.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath")
	// The go command passes no signals on, so the group of both is told to stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = launchPatience
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, io.MultiWriter(&stderr, l.progress)
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("hack/cluster %s: %w: %s", args[0], err, complaint(stderr.String()))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(stdout.Bytes(), result)
}

// complaint is what the launcher says went wrong, without the progress that it
// reported before and the exit code that the go command adds.
func complaint(output string) string {
	if _, after, ok := strings.Cut(output, "error: "); ok {
		output = after
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(output), "exit status 1"))
}
