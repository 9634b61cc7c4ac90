// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package rig adds to pkg/testkit/rig what the tests of all kinds of sources
// share: a storage, artifacts, and a controller that can be killed.
package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/testkit/rig"
	"github.com/weir-gitops/weir/source-controller/internal/app"
)

// flagsVar makes the test program run as the controller, for tests that kill it.
const flagsVar = "WEIR_TEST_CONTROLLER_FLAGS"

// Env is the cluster of the tests of one package.
type Env struct{ rig.Env }

// Main runs the tests of a package with a cluster, fills env before the first
// one, and returns the exit code. It is the whole of TestMain.
func Main(m *testing.M, env *Env) int {
	if flags, ok := os.LookupEnv(flagsVar); ok {
		ctrl.SetLogger(rig.Quiet())
		o := options()
		fs := pflag.NewFlagSet("test", pflag.PanicOnError)
		o.Bind(fs)
		_ = fs.Parse(strings.Fields(flags))
		if err := app.Run(context.Background(), o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	env.Controller, env.Scheme = "source-controller", app.Scheme()
	return env.Env.Main(m)
}

func options() *app.Options {
	o := &app.Options{}
	logger := rig.Quiet()
	o.Logger = &logger
	return o
}

// Suite is one test: a namespace, and a controller for that namespace alone.
type Suite struct {
	*rig.Suite

	// Storage is the directory of artifacts.
	Storage string
}

// Suite returns a new test. The controller does not run yet.
func (e *Env) Suite(t *testing.T) *Suite {
	t.Helper()
	s := &Suite{Suite: e.Env.Suite(t), Storage: t.TempDir()}
	address := FreeAddress(t)
	s.Flags = append(s.Flags, "--storage-path="+s.Storage, "--storage-addr="+address, "--storage-adv-addr="+address)
	return s
}

// FreeAddress returns an address of this machine that nobody listens on.
func FreeAddress(t *testing.T) string {
	t.Helper()
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Start runs the controller with more flags until the test ends, or Stop is
// called.
func (s *Suite) Start(flags ...string) {
	s.Helper()
	o := options()
	s.Parse(o, flags...)
	s.Launch(func(ctx context.Context) error { return app.Run(ctx, o) })
}

// Process runs the controller as a process of its own, which ends with the
// tests at the latest, with more variables in its environment.
func (s *Suite) Process(env ...string) *exec.Cmd {
	s.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), env...), flagsVar+"="+strings.Join(s.Flags, " "))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.Must(cmd.Start())
	s.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}
