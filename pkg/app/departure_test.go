// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// foreign is a finalizer that is not ours to remove.
const foreign = "example.com/keep"

// The rights are those that ship.
func TestUninstallLetsGoOfAllObjects(t *testing.T) {
	t.Parallel()
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "gitrepositories.source.toolkit.fluxcd.io"}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "weir-system"}}
	for name, tc := range map[string]struct {
		delete client.Object
		// gone says that the objects go, too.
		gone bool
	}{
		"definition": {crd, true},
		"namespace":  {namespace, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kube, leaving := startDeparting(t)
			objects := createObjects(t, kube)
			// Nothing happens to them until somebody uninstalls.
			if leaving() {
				t.Fatal("leaves before anybody uninstalls")
			}
			if err := kube.Delete(t.Context(), tc.delete); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			var left map[string][]string
			eventually(t, func() bool {
				left = finalizers(t, kube)
				return !slices.ContainsFunc(slices.Collect(maps.Values(left)), func(f []string) bool { return slices.Contains(f, sourcev1.SourceFinalizer) })
			}, func() string { return fmt.Sprint(left) })
			t.Logf("let go of %d objects in %s", objects, time.Since(start).Round(time.Millisecond))
			if !leaving() {
				t.Error("is not leaving, and so would add finalizers again")
			}
			want := map[string][]string{"held": {foreign}}
			if !tc.gone {
				for i := range objects - 1 {
					want[fmt.Sprint("plain-", i)] = nil
				}
			}
			eventually(t, func() bool { left = finalizers(t, kube); return cmp.Equal(want, left) }, func() string { return cmp.Diff(want, left) })
		})
	}
}

// startDeparting runs an app with the rights of source-controller on a cluster
// of its own.
func startDeparting(t *testing.T) (client.Client, func() bool) {
	t.Helper()
	cluster, err := testkit.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(t.Context())) })
	if err := cluster.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	config, err := cluster.ServiceAccountConfig(t.Context(), "weir-system", "source-controller")
	if err != nil {
		t.Fatal(err)
	}
	o := &app.Options{}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs, 1)
	if err := fs.Parse([]string{"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=weir-system"}); err != nil {
		t.Fatal(err)
	}
	log := logr.Discard()
	a, err := app.New(t.Context(), app.Settings{
		Name: "source-controller", Scheme: scheme, Owned: []client.Object{&sourcev1.GitRepository{}},
		Finalizers: []string{sourcev1.SourceFinalizer}, Config: config, Log: &log,
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	kube, err := client.New(cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return kube, a.Leaving(&sourcev1.GitRepository{})
}

// createObjects makes objects with our finalizer, one of which somebody else
// holds as well, and returns how many.
func createObjects(t *testing.T, kube client.Client) int {
	t.Helper()
	const plain = 60
	create := func(name string, finalizers ...string) {
		if err := kube.Create(t.Context(), &sourcev1.GitRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: finalizers},
			Spec:       sourcev1.GitRepositorySpec{URL: "https://git.example/x", Interval: metav1.Duration{Duration: time.Hour}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range plain {
		create(fmt.Sprint("plain-", i), sourcev1.SourceFinalizer)
	}
	create("held", foreign, sourcev1.SourceFinalizer)
	return plain + 1
}

// finalizers returns those of all objects, by their names.
func finalizers(t *testing.T, kube client.Client) map[string][]string {
	t.Helper()
	var list sourcev1.GitRepositoryList
	if err := kube.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for i := range list.Items {
		all[list.Items[i].Name] = list.Items[i].Finalizers
	}
	return all
}

func eventually(t *testing.T, done func() bool, state func() string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("not in time; left: %s", state())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
