// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests what only all of Weir together can show: the controllers
// as processes with the rights that ship, on a real Kubernetes.
package e2e

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/inventory"
)

const (
	// bringUp is how long it may take until everything is Ready, the build of
	// the controllers included.
	bringUp = 5 * time.Minute
	// uninstall is how long `kubectl delete -k bootstrap` may take.
	uninstall = 45 * time.Second
)

// TestUninstallDeletesNoWorkload deletes bootstrap as somebody would who did
// not read its README: in one command, with both controllers at work.
// Everything that was applied must stay, and the command must come to an end.
func TestUninstallDeletesNoWorkload(t *testing.T) {
	t.Parallel()
	p := start(t)
	workloads := applied(t, p)
	before := identities(t, p, workloads)
	server := inventory.Ref{Group: "apps", Kind: "Deployment", Namespace: "team-serving", Name: "model-server"}
	if before[server] == "" || len(before) != len(workloads) {
		t.Fatalf("the example was not applied as it should: of %v there are %v", workloads.Refs(), before)
	}

	checkBudgets(t, p)
	deleteBootstrap(t, p)
	checkGone(t, p)

	after := identities(t, p, workloads)
	for _, ref := range workloads.Refs() {
		if after[ref] != before[ref] {
			t.Errorf("%s did not survive: its UID was %q and is %q", ref, before[ref], after[ref])
		}
	}
}

// start brings up the platform with the example applied and Ready.
func start(t *testing.T) *platform.Platform {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bringUp)
	defer cancel()
	p, err := platform.Start(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("source-controller:\n%s", p.Source.LogTail(30))
			t.Logf("kustomize-controller:\n%s", p.Kustomize.LogTail(30))
		}
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	commit, err := p.Repository.Push(ctx, platform.Change{Author: "Ada Okafor <ada@acme-ml.example>", Message: "Set up the platform"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := platform.Await(ctx, func(ctx context.Context) error { return p.Applied(ctx, commit) }); err != nil {
		t.Fatal(err)
	}
	return p
}

// checkBudgets checks that there are GPUQuotas, which the controller has to let
// go of, and the webhook that stands in the way of pods for them.
func checkBudgets(t *testing.T, p *platform.Platform) {
	t.Helper()
	quotas, err := p.Resource(quotav1.GroupVersion.WithResource("gpuquotas")).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(quotas.Items) == 0 || !slices.Contains(quotas.Items[0].GetFinalizers(), quotav1.Finalizer) {
		t.Fatalf("of %d GPUQuotas the first has finalizers that are not gpu-quota-controller's", len(quotas.Items))
	}
	if _, err := p.Resource(webhooks).Get(t.Context(), "gpu-quota", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
}

// webhooks are the kind of what makes the API server ask.
var webhooks = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations")

// deleteBootstrap runs the command, which has to end by itself.
func deleteBootstrap(t *testing.T, p *platform.Platform) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), uninstall)
	defer cancel()
	start := time.Now()
	if _, err := p.Kubectl(ctx, "delete", "--ignore-not-found", "-k", p.Bootstrap()); err != nil {
		t.Error(err)
	}
	t.Logf("the command took %s", time.Since(start).Round(time.Millisecond))
}

// applied returns what the Kustomizations have applied and the pods that came
// of it, without the objects of Weir's own kinds, which an uninstall removes.
func applied(t *testing.T, p *platform.Platform) inventory.Inventory {
	t.Helper()
	all, err := p.Kustomizations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	workloads := inventory.Inventory{}
	for i := range all {
		inv, err := platform.Inventory(&all[i])
		if err != nil {
			t.Fatal(err)
		}
		for ref, version := range inv {
			if !strings.HasSuffix(ref.Group, ".toolkit.fluxcd.io") && ref.Group != quotav1.GroupVersion.Group {
				workloads[ref] = version
			}
		}
	}
	pods, err := p.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace("team-serving").
		List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		workloads[inventory.RefOf(&pods.Items[i])] = "v1"
	}
	return workloads
}

// identities returns the UIDs of objects that exist and are not on their way
// out.
func identities(t *testing.T, p *platform.Platform, inv inventory.Inventory) map[inventory.Ref]types.UID {
	t.Helper()
	objects, err := p.Live(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	found := map[inventory.Ref]types.UID{}
	for ref, object := range objects {
		if object.GetDeletionTimestamp() == nil {
			found[ref] = object.GetUID()
		}
	}
	return found
}

// checkGone checks that what was to be deleted is.
func checkGone(t *testing.T, p *platform.Platform) {
	t.Helper()
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	for name, kind := range map[string]schema.GroupVersionResource{
		platform.Namespace: corev1.SchemeGroupVersion.WithResource("namespaces"),
		platform.Kustomizations.GroupResource().String():  crds,
		platform.GitRepositories.GroupResource().String(): crds,
		quotav1.GPUQuotaCRD: crds,
	} {
		_, err := p.Resource(kind).Get(t.Context(), name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("%s %s is still there (error %v)", kind.Resource, name, err)
		}
	}
	// Kubernetes may be collecting it.
	ctx, cancel := context.WithTimeout(t.Context(), uninstall)
	defer cancel()
	if err := platform.Await(ctx, func(ctx context.Context) error {
		_, err := p.Resource(webhooks).Get(ctx, "gpu-quota", metav1.GetOptions{})
		if err == nil {
			return errors.New("the webhook is still there")
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
