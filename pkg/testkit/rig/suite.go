// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Deadline is how long a test waits for what has to happen.
const Deadline = 3 * time.Minute

// Suite is one test: a namespace, and a controller for that namespace alone.
type Suite struct {
	*testing.T

	// Kube talks to the cluster as the administrator.
	Kube client.Client
	// Namespace is the test's own.
	Namespace string
	// Flags are those that every start of the controller gets.
	Flags []string
	// Stop ends the controller that Launch began, and may be called again.
	Stop func()
}

// Options are those of a controller, which reads them from flags.
type Options interface{ Bind(flags *pflag.FlagSet) }

// Parse fills the options from the flags of the test and more.
func (s *Suite) Parse(o Options, more ...string) {
	s.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(flags)
	s.Must(flags.Parse(slices.Concat(s.Flags, more)))
}

// Launch runs a controller until the test ends, or Stop is called.
func (s *Suite) Launch(run func(context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
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

// Must ends the test if there is an error.
func (s *Suite) Must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
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
