// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/lock"
	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// ErrAbsent says that there is no such cluster.
var ErrAbsent = errors.New("there is no such cluster")

// Status returns what is known about the cluster in dir. It is never an error that there is none.
func Status(ctx context.Context, dir string) (State, error) {
	held, err := lock.Held(layout(dir).lock())
	if err != nil {
		return State{}, fmt.Errorf("look at the cluster in %s: %w", dir, err)
	}
	state, err := readState(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = State{Dir: dir, Phase: Absent}
		if held {
			state.Phase = Starting
		} else if _, err := os.Stat(layout(dir).lock()); err == nil {
			state.Phase = Dead
		}
		return state, nil
	case err != nil:
		return State{}, err
	case !held:
		state.Phase, state.PID, state.Init, state.Components = Dead, 0, 0, nil
		return state, nil
	}
	// The supervisor knows better than its file; it may also be just about to end.
	current := state
	if err := dialControl(layout(dir)).do(ctx, http.MethodGet, pathState, nil, &current); err == nil {
		return current, nil
	}
	return state, nil
}

// identified is Status, after waiting for a supervisor that has just begun to say who it is.
func identified(ctx context.Context, dir string) (State, error) {
	var state State
	ctx, cancel := context.WithTimeoutCause(ctx, stopPatience, errors.New("the supervisor does not say who it is"))
	defer cancel()
	err := until(ctx, often, func(ctx context.Context) error {
		var err error
		state, err = Status(ctx, dir)
		if err == nil && state.Phase == Starting && state.PID == 0 {
			err = fmt.Errorf("%w: it is just starting", ErrBusy)
		}
		return err
	})
	return state, err
}

// stopPatience is how long a supervisor gets to remove its cluster before it is killed.
const stopPatience = 20 * time.Second

// Down ends the cluster in dir and returns when its processes and the directory are gone. It also removes what a
// killed supervisor left. It returns ErrAbsent if there is nothing.
func Down(ctx context.Context, dir string) error {
	state, err := identified(ctx, dir)
	if err != nil {
		return err
	}
	if state.Phase == Absent {
		return fmt.Errorf("%w: nothing in %s", ErrAbsent, dir)
	}
	if state.PID != 0 {
		if err := stopSupervisor(ctx, dir, state.PID); err != nil {
			return err
		}
	}
	return removeRemains(ctx, dir)
}

// stopSupervisor asks the supervisor to end, and kills it if it does not.
func stopSupervisor(ctx context.Context, dir string, pid int) error {
	supervisor, err := process.Open(pid)
	if err != nil {
		return nil // it has ended since
	}
	defer supervisor.Close()
	// The number could be another process's by now, unless the supervisor still has its lock.
	if held, err := lock.Held(layout(dir).lock()); err != nil || !held {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopPatience, errors.New("the supervisor did not end in time"))
	defer cancel()
	// One that is ending already does not answer any more.
	_ = dialControl(layout(dir)).do(ctx, http.MethodPost, pathStop, nil, nil)
	if err := supervisor.Wait(ctx); err == nil {
		return nil
	}
	if err := supervisor.Kill(); err != nil {
		return err
	}
	return supervisor.Wait(context.WithoutCancel(ctx))
}

// removeRemains removes the directory of a cluster that no supervisor holds.
func removeRemains(ctx context.Context, dir string) error {
	if _, err := os.Stat(layout(dir).lock()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	held, err := lock.Acquire(ctx, layout(dir).lock(), nil)
	if err != nil {
		return fmt.Errorf("remove the cluster in %s: %w", dir, err)
	}
	defer held.Release()
	return scrap(ctx, dir, remove)
}

// Snapshot writes what the cluster's etcd holds to file. The cluster goes on meanwhile.
func Snapshot(ctx context.Context, dir, file string) error {
	return fileOperation(ctx, dir, pathSnapshot, file)
}

// Restore puts the cluster back to a snapshot of itself. It does not serve meanwhile; addresses and credentials stay.
// A snapshot that cannot be used is an error and leaves the cluster as it was.
func Restore(ctx context.Context, dir, file string) error {
	return fileOperation(ctx, dir, pathRestore, file)
}

func fileOperation(ctx context.Context, dir, path, file string) error {
	state, err := Status(ctx, dir)
	if err != nil {
		return err
	}
	if state.Phase == Absent || state.Phase == Dead {
		return fmt.Errorf("%w: nothing runs in %s", ErrAbsent, dir)
	}
	file, err = filepath.Abs(file)
	if err != nil {
		return err
	}
	return dialControl(layout(dir)).do(ctx, http.MethodPost, path, fileRequest{File: file}, nil)
}

// Act does something to a component of the cluster: one of StopComponent, KillComponent and StartComponent.
func Act(ctx context.Context, dir, name, action string) error {
	state, err := Status(ctx, dir)
	if err != nil {
		return err
	}
	if state.Phase == Absent || state.Phase == Dead {
		return fmt.Errorf("%w: nothing runs in %s", ErrAbsent, dir)
	}
	return dialControl(layout(dir)).do(ctx, http.MethodPost, pathAct, componentRequest{Name: name, Action: action}, nil)
}

// crashFile is where it is kept why a cluster ended by itself, after its directory is gone: the latest crash only.
func crashFile() (string, error) {
	dir, err := DefaultDir("any")
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(filepath.Dir(dir)), "last-crash.txt"), nil
}

// recordCrash keeps the reason for LastCrash.
func recordCrash(opts Options, reason error) error {
	path, err := crashFile()
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s\n%s: %v\n", opts.Dir, time.Now().Format(time.RFC3339), reason)
	return writeFile(path, []byte(text))
}

// LastCrash returns when and why the cluster in dir last ended by itself, or "" if nothing is known.
func LastCrash(dir string) string {
	path, err := crashFile()
	if err != nil {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	where, why, _ := strings.Cut(string(data), "\n")
	if where != dir {
		return ""
	}
	return strings.TrimSpace(why)
}
