// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/build"
	"github.com/weir-gitops/weir/hack/cluster/internal/lock"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files []string
		want  bool
	}{
		"empty":              {nil, true},
		"remains":            {[]string{".weir-cluster.lock", "cluster.json"}, true},
		"somebody's files":   {[]string{"thesis.tex"}, false},
		"looks like cluster": {[]string{"cluster.json"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			touch(t, dir, tt.files...)
			err := claim(dir)
			if got := err == nil; got != tt.want || err != nil && !errors.Is(err, ErrOptions) {
				t.Errorf("claim returned %v, want success: %t", err, tt.want)
			}
		})
	}
	if err := claim(filepath.Join(t.TempDir(), "absent")); err != nil {
		t.Errorf("claim of an absent directory returned %v", err)
	}
}

// A directory that is not a cluster's must survive every command, whatever somebody passes for --dir.
func TestForeignDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	touch(t, dir, "thesis.tex")
	opts := Options{Name: "a", Dir: dir}
	if err := Run(t.Context(), opts, func(Event) {}); !errors.Is(err, ErrOptions) {
		t.Errorf("Run returned %v, want ErrOptions", err)
	}
	if err := Down(t.Context(), dir); !errors.Is(err, ErrAbsent) {
		t.Errorf("Down returned %v, want ErrAbsent", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.tex")); err != nil {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		locked, marked bool
		state          *State
		want           Phase
	}{
		"nothing":                           {want: Absent},
		"supervisor that just began":        {locked: true, marked: true, want: Starting},
		"supervisor that does not answer":   {locked: true, marked: true, state: &State{Phase: Restoring}, want: Restoring},
		"killed supervisor":                 {marked: true, state: &State{Phase: Ready}, want: Dead},
		"killed supervisor that just began": {marked: true, want: Dead},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.marked {
				held, err := lock.Try(layout(dir).lock())
				if err != nil {
					t.Fatal(err)
				}
				if tt.locked {
					defer held.Release()
				} else {
					held.Release()
				}
			}
			if tt.state != nil {
				tt.state.Dir = dir
				if err := tt.state.write(); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Status(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if got.Phase != tt.want || got.Dir != dir {
				t.Errorf("status is %s of %s, want %s of %s", got.Phase, got.Dir, tt.want, dir)
			}
		})
	}
}

func TestDownRemovesRemains(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	touch(t, dir, ".weir-cluster.lock", "etcd/member/wal", "logs/etcd.log")
	if err := (State{Dir: dir, Phase: Ready, PID: os.Getpid()}).write(); err != nil {
		t.Fatal(err)
	}
	// The number in the state file is this test's own: a number that was used again must not be killed for it.
	if err := Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

// Only the state says which cgroups are a node's, so it must outlive them.
func TestRemainsOutliveBusyCgroup(t *testing.T) {
	t.Parallel()
	// A folder with a file in it stands for one whose processes have not ended: neither can be removed.
	busy, dir := t.TempDir(), filepath.Join(t.TempDir(), "cluster")
	touch(t, busy, "process")
	touch(t, dir, ".weir-cluster.lock")
	if err := (State{Dir: dir, Phase: Ready, Cgroup: "../../../../../.." + busy}).write(); err != nil {
		t.Fatal(err)
	}
	ends := map[string]func(context.Context) error{
		"down":    func(ctx context.Context) error { return Down(ctx, dir) },
		"next up": func(ctx context.Context) error { return Run(ctx, Options{Name: "a", Dir: dir}, func(Event) {}) },
		"end":     func(ctx context.Context) error { return scrap(ctx, dir, remove) },
	}
	for name, end := range ends {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := end(ctx); err == nil || !strings.Contains(err.Error(), "remove the node's cgroups") {
			t.Errorf("%s returned %v, want an error that names the cgroups", name, err)
		}
		cancel()
		if _, err := readState(dir); err != nil {
			t.Errorf("after %s the state is lost: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(busy, "process")); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, busy} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func TestRunRefusesSecond(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held, err := lock.Try(layout(dir).lock())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if err := Run(t.Context(), Options{Name: "a", Dir: dir}, func(Event) {}); !errors.Is(err, ErrRunning) {
		t.Errorf("Run returned %v, want ErrRunning", err)
	}
}

// A program that cannot be started must leave nothing, and say which one it was.
func TestRunWithoutPrograms(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	opts := Options{Name: "a", Dir: dir, Assets: build.Assets{Dir: t.TempDir()}}
	err := Run(t.Context(), opts, func(e Event) { t.Errorf("unexpected event %+v", e) })
	if err == nil || !strings.Contains(err.Error(), "start etcd") {
		t.Errorf("Run returned %v, want an error that names etcd", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func TestEnding(t *testing.T) {
	t.Parallel()
	crash, failure := errors.New("kube-apiserver ended by itself"), errors.New("wait for etcd")
	tests := map[string]struct{ cause, err, want error }{
		"stopped":                   {cause: errStopped},
		"stopped in the middle":     {cause: errStopped, err: failure},
		"interrupted in the middle": {cause: ErrInterrupted, err: failure},
		"owner ended":               {cause: ErrOwnerEnded},
		"component ended":           {cause: crash, want: crash},
		"component ended at start":  {cause: crash, err: failure, want: crash},
		"a step failed by itself":   {err: failure, want: failure},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			if tt.cause != nil {
				cancel(tt.cause)
			}
			if got := ending(ctx, tt.err); !errors.Is(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Errorf("ending is %v, want %v", got, tt.want)
			}
			cancel(nil)
		})
	}
}

func TestExclusive(t *testing.T) {
	t.Parallel()
	s := &supervisor{state: State{Phase: Ready}}
	if err := s.exclusive(func() error { return s.exclusive(func() error { return nil }) }); !errors.Is(err, ErrBusy) {
		t.Errorf("an operation inside another returned %v, want ErrBusy", err)
	}
	if err := s.exclusive(func() error { return nil }); err != nil {
		t.Errorf("an operation after another returned %v", err)
	}
	for _, phase := range []Phase{Starting, Restoring, Stopping} {
		s.state.Phase = phase
		if err := s.exclusive(func() error { return nil }); !errors.Is(err, ErrBusy) {
			t.Errorf("an operation on a cluster that is %s returned %v, want ErrBusy", phase, err)
		}
	}
}

func TestCopySnapshot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ answer, want, err string }{
		"pieces":     {answer: `{"result":{"blob":"YWI="}}` + "\n" + `{"result":{"blob":"Yw=="}}`, want: "abc"},
		"nothing":    {err: "EOF"},
		"broken off": {answer: `{"result":{"blob":"YWI="}}{"error":{"message":"no space"}}`, want: "ab", err: "no space"},
		"cut":        {answer: `{"result":{"blob":"YWI="}}{"resu`, want: "ab", err: "unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			err := copySnapshot(&got, strings.NewReader(tt.answer))
			if got.String() != tt.want {
				t.Errorf("copied %q, want %q", got.String(), tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error is %v, want %q in it", err, tt.err)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	calls := 0
	err := until(t.Context(), time.Millisecond, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("until returned %v after %d calls, want success after 3", err, calls)
	}
	cause := errors.New("no patience")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
	defer cancel()
	err = until(ctx, time.Millisecond, func(context.Context) error { return errors.New("not yet") })
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("until returned %v, want the cause of its context's end and the last error", err)
	}
}

func TestLastCrash(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if got := LastCrash("/clusters/a"); got != "" {
		t.Errorf("crash of a cluster that never was: %q", got)
	}
	if err := recordCrash(Options{Dir: "/clusters/a"}, errors.New("etcd ended by itself\nlast words")); err != nil {
		t.Fatal(err)
	}
	if got := LastCrash("/clusters/a"); !strings.HasSuffix(got, ": etcd ended by itself\nlast words") {
		t.Errorf("last crash is %q", got)
	}
	if got := LastCrash("/clusters/b"); got != "" {
		t.Errorf("crash of another cluster: %q", got)
	}
}

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	l := layout(t.TempDir())
	if err := writeCredentials(l, ports{host: loopback, api: 6443}, users()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(l.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct{ Cluster struct{ Server string } }
		Users    []struct {
			User map[string][]byte
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(l.cert(adminClient))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(config.Users[0].User["client-certificate-data"]); got != string(cert) {
		t.Errorf("the certificate in the kubeconfig is %q, want %q", got, cert)
	}
	if got, want := config.Clusters[0].Cluster.Server, "https://127.0.0.1:6443"; got != want {
		t.Errorf("the server in the kubeconfig is %q, want %q", got, want)
	}
	err = filepath.WalkDir(string(l), func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("%s can be read by others: %s", entry.Name(), info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func touch(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, file := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
