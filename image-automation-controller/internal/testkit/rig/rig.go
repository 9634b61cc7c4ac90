// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package rig adds to pkg/testkit/rig what the tests of all image kinds share: a
// registry, and the controller.
package rig

import (
	"context"
	"os"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/image-automation-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/testkit/rig"
)

// logVar makes the controllers of the tests log.
const logVar = "WEIR_TEST_LOG"

// Env is the cluster of the tests of one package.
type Env struct{ rig.Env }

// Main runs the tests of a package with a cluster, fills env before the first
// one, and returns the exit code. It is the whole of TestMain.
func Main(m *testing.M, env *Env) int {
	env.Controller, env.Scheme = "image-automation-controller", app.Scheme()
	return env.Env.Main(m)
}

// Suite is one test: a namespace, a registry, and a controller for that
// namespace alone.
type Suite struct {
	*rig.Suite

	Registry *testkit.Registry
	// Config is how the controller reaches the API server; its own account by
	// default.
	Config *rest.Config
}

// Suite returns a new test. The controller does not run yet.
func (e *Env) Suite(t *testing.T, options ...testkit.RegistryOption) *Suite {
	t.Helper()
	s := &Suite{Suite: e.Env.Suite(t), Config: e.Account}
	s.Flags = append(s.Flags, "--storage-path="+t.TempDir())
	var err error
	s.Registry, err = testkit.NewRegistry(options...)
	s.Must(err)
	t.Cleanup(s.Registry.Close)
	return s
}

// Start runs the controller with more flags until the test ends, or Stop is
// called.
func (s *Suite) Start(flags ...string) {
	s.Helper()
	o := &app.Options{Config: s.Config}
	if os.Getenv(logVar) == "" {
		logger := rig.Quiet()
		o.Logger = &logger
	}
	s.Parse(o, flags...)
	s.Launch(func(ctx context.Context) error { return app.Run(ctx, o) })
}

// Objects drives the object of one kind and name in the namespace of a test.
type Objects[T rig.Object] = rig.Objects[T]

// Of returns what drives an object of a kind and a name; empty makes an empty
// one.
func Of[T rig.Object](s *Suite, kind, name string, empty func() T) Objects[T] {
	return Objects[T]{In: s.Suite, Kind: kind, Name: name, Make: empty}
}
