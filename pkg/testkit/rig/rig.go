// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package rig is what the tests of controllers share: a real API server with
// Weir's manifests, the account with the rights that ship, a namespace for each
// test, and words for what an object has to become.
package rig

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// Env is the cluster of the tests of one package.
type Env struct {
	// Controller is the name of the one under test, which is that of its service
	// account, and Scheme has the kinds that it knows.
	Controller string
	Scheme     *runtime.Scheme
	// Kube talks to the cluster as the administrator.
	Kube client.Client
	// Account is the controller's own.
	Account *rest.Config

	failed error
}

// Main runs the tests of a package with a cluster, fills env before the first
// one, and returns the exit code. A client that is told no other kubeconfig is
// the controller's service account meanwhile.
func (e *Env) Main(m *testing.M) int {
	ctrl.SetLogger(Quiet())
	return testkit.Main(m, func(c *testkit.Cluster) { e.failed = e.setup(c) })
}

// Quiet logs nothing. logr.Discard has no sink at all, which the recorder of
// events does not expect.
func Quiet() logr.Logger { return logr.New(log.NullLogSink{}) }

func (e *Env) setup(c *testkit.Cluster) error {
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if e.Kube, err = client.New(c.Config(), client.Options{Scheme: e.Scheme}); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", e.Controller)
	if err != nil {
		return err
	}
	if e.Account, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return fmt.Errorf("read the kubeconfig of %s: %w", e.Controller, err)
	}
	return os.Setenv("KUBECONFIG", kubeconfig)
}

// Suite returns a new test with a namespace. No controller runs yet.
func (e *Env) Suite(t *testing.T) *Suite {
	t.Helper()
	if e.failed != nil {
		t.Fatalf("set up the tests: %v", e.failed)
	}
	s := &Suite{T: t, Kube: e.Kube, Namespace: "test-" + rand.String(8), Stop: func() {}}
	s.Must(e.Kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}))
	s.Flags = []string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=" + s.Namespace, "--watch-all-namespaces=false",
		"--allow-local-sources", "--min-retry-delay=100ms", "--max-retry-delay=500ms",
	}
	return s
}
