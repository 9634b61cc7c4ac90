// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package rig is what the tests of all kinds of sources share: a real API
// server with Weir's manifests, the controller with the rights that ship, and
// a namespace for each test.
package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/app"
)

const (
	// Deadline is how long a test waits for what has to happen.
	Deadline = 3 * time.Minute
	// flagsVar makes the test program run as the controller, for tests that
	// kill it.
	flagsVar = "WEIR_TEST_CONTROLLER_FLAGS"
)

// Env is the cluster of the tests of one package.
type Env struct {
	// Kube talks to the cluster as the administrator.
	Kube client.Client

	failed error
}

// Main runs the tests of a package with a cluster, fills env before the first
// one, and returns the exit code. It is the whole of TestMain.
func Main(m *testing.M, env *Env) int {
	ctrl.SetLogger(quiet())
	if flags, ok := os.LookupEnv(flagsVar); ok {
		if err := app.Run(context.Background(), options(strings.Fields(flags))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	return testkit.Main(m, func(c *testkit.Cluster) { env.failed = env.setup(c) })
}

// quiet logs nothing. logr.Discard has no sink at all, which the recorder of
// events does not expect.
func quiet() logr.Logger { return logr.New(log.NullLogSink{}) }

// setup installs Weir's manifests. Controllers of the tests run with the token
// of the service account that ships.
func (e *Env) setup(c *testkit.Cluster) error {
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if e.Kube, err = client.New(c.Config(), client.Options{Scheme: app.Scheme()}); err != nil {
		return err
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", "source-controller")
	if err != nil {
		return err
	}
	return os.Setenv("KUBECONFIG", kubeconfig)
}

func options(flags []string) *app.Options {
	o := &app.Options{}
	fs := pflag.NewFlagSet("test", pflag.PanicOnError)
	o.Bind(fs)
	_ = fs.Parse(flags)
	logger := quiet()
	o.Logger = &logger
	return o
}

// Suite is one test: a namespace, and a controller for that namespace alone.
type Suite struct {
	*testing.T

	// Kube talks to the cluster as the administrator.
	Kube client.Client
	// Namespace is the test's own.
	Namespace string
	// Storage is the directory of artifacts.
	Storage string
	// Flags are those that every start of the controller gets.
	Flags []string
	// Stop ends the controller that Start began, and may be called again.
	Stop func()
}

// Suite returns a new test. The controller does not run yet.
func (e *Env) Suite(t *testing.T) *Suite {
	t.Helper()
	if e.failed != nil {
		t.Fatalf("set up the tests: %v", e.failed)
	}
	s := &Suite{T: t, Kube: e.Kube, Namespace: "test-" + rand.String(8), Storage: t.TempDir(), Stop: func() {}}
	s.Must(e.Kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}))
	address := FreeAddress(t)
	s.Flags = []string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=" + s.Namespace, "--watch-all-namespaces=false",
		"--allow-local-sources", "--min-retry-delay=100ms", "--max-retry-delay=500ms",
		"--storage-path=" + s.Storage, "--storage-addr=" + address, "--storage-adv-addr=" + address,
	}
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

// Must ends the test if there is an error.
func (s *Suite) Must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// Start runs the controller with more flags until the test ends, or Stop is
// called.
func (s *Suite) Start(flags ...string) {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	all := append(append([]string{}, s.Flags...), flags...)
	go func() { done <- app.Run(ctx, options(all)) }()
	stopped := false
	s.Stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			s.Errorf("the controller ended with %v", err)
		}
	}
	s.Cleanup(func() { s.Stop() })
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

// Secret creates a Secret.
func (s *Suite) Secret(name string, data map[string]string) *corev1.Secret {
	s.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}, StringData: data}
	s.Must(s.Kube.Create(s.Context(), secret))
	return secret
}

// Eventually waits until done returns true.
func (s *Suite) Eventually(what string, done func() bool) {
	s.Helper()
	s.Poll(what, done, func() string { return "" })
}

// Poll is Eventually that shows the state if it waited in vain.
func (s *Suite) Poll(what string, done func() bool, state func() string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), Deadline)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s\n%s", Deadline, what, state())
		case <-tick.C:
		}
	}
}
