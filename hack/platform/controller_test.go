// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Whoever waits for something asks meanwhile whether a controller runs that
// somebody else kills and starts again.
func TestControllerIsAskedWhileItStarts(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	probe := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer probe.Close()
	c := &Controller{Name: "sleeper", Log: filepath.Join(t.TempDir(), "log"), program: sleep, args: []string{"600"}, ready: probe.URL}
	if err := c.Stop(); err != nil {
		t.Errorf("one that was never started cannot be stopped: %v", err)
	}
	stop, seen := make(chan struct{}), 0
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if c.Running() {
					seen++
				}
			}
		}
	})
	pids := map[int]bool{}
	for range 3 {
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		pids[c.PID()] = true
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
		if c.Running() {
			t.Error("runs after it was killed")
		}
	}
	close(stop)
	asking.Wait()
	if seen == 0 || len(pids) != 3 {
		t.Errorf("was seen to run %d times, as %d processes, want often as 3", seen, len(pids))
	}
	if err := c.Kill(); err == nil {
		t.Error("one that has ended is killed without an error")
	}
}

// A program that cannot be started leaves what is known of the one before.
func TestControllerThatCannotStart(t *testing.T) {
	t.Parallel()
	c := &Controller{Name: "nothing", Log: filepath.Join(t.TempDir(), "log"), program: filepath.Join(t.TempDir(), "absent")}
	if err := c.Start(t.Context()); err == nil || c.Running() {
		t.Errorf("a program that is not there was started: %v", err)
	}
}
