// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

// fluxLeaves reads testdata/flux-installation.yaml.
func fluxLeaves(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "flux-installation.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object, err := parse(document)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, object)
	}
	return all
}

// TestWhatFluxLeavesIsDeleted runs the commands of the page for those who put
// Weir in Flux's place by hand, twice, and sees that what Flux's bindings let
// the accounts of that name do, they may not do any more.
func TestWhatFluxLeavesIsDeleted(t *testing.T) {
	t.Parallel()
	admin := installed(t, "")
	client := as(t, "")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: flux}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	left := fluxLeaves(t)
	for _, object := range left {
		if err := admin.apply(t.Context(), object, false); err != nil {
			t.Fatalf("%s: %v", identify(object), err)
		}
	}
	const kustomize, source = "system:serviceaccount:flux-system:kustomize-controller", "system:serviceaccount:flux-system:source-controller"
	awaitAccess(t, client, kustomize, "delete", "namespaces", true)
	awaitAccess(t, client, source, "list", "secrets", true)

	page, err := markdown.Read(root, "bootstrap/README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := ""
	for _, block := range page.Blocks {
		if strings.Contains(block.Text, "cluster-reconciler-flux-system") {
			commands += block.Text
		}
	}
	for range 2 {
		shell := exec.CommandContext(t.Context(), "sh", "-euc", commands)
		shell.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig(), "PATH="+cluster.Assets()+":"+os.Getenv("PATH"))
		if out, err := shell.CombinedOutput(); err != nil || commands == "" {
			t.Fatalf("%q: %v\n%s", commands, err, out)
		}
	}
	awaitAccess(t, client, kustomize, "delete", "namespaces", false)
	awaitAccess(t, client, source, "list", "secrets", false)
	for _, object := range left {
		resource, err := admin.resource(object)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resource.Get(t.Context(), object.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: %v, want that it is gone", identify(object), err)
		}
	}
}

// awaitAccess returns when the authorizer says whether a user may do something.
func awaitAccess(t *testing.T, client kubernetes.Interface, user, verb, resource string, want bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource},
			},
		}, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed == want, err
	})
	if err != nil {
		t.Fatalf("may %s %s %s: want %t: %v", user, verb, resource, want, err)
	}
}

// TestBesideFlux holds the component for two that fetch from each other to the
// page's table: with Flux's policies in Flux's namespace and ours in ours.
func TestBesideFlux(t *testing.T) {
	t.Parallel()
	pods, policies := network(t, extended(t, "resources: [ROOT/bootstrap]\ncomponents: [ROOT/bootstrap/components/beside-flux]\n"))
	for _, object := range fluxLeaves(t) {
		if object.GetKind() == "NetworkPolicy" {
			policies = append(policies, *typed[networkingv1.NetworkPolicy](t, object))
		}
	}
	theirs := func(name string) endpoint {
		return endpoint{namespace: flux, labels: labels.Set{"app": name}, ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 9090}}}
	}
	peers := map[string][]endpoint{
		"Weir's source-controller":              {pods["source-controller"]},
		"Flux's source-controller":              {theirs("source-controller")},
		"Weir's kustomize- and helm-controller": {pods["kustomize-controller"], pods["helm-controller"]},
		"Flux's kustomize- and helm-controller": {theirs("kustomize-controller"), theirs("helm-controller")},
		"other controllers of Flux":             {theirs("notification-controller")},
		"pods elsewhere":                        {strangers(ours)["pods elsewhere"], {namespace: "team-serving", labels: labels.Set{"app": "helm-controller"}}},
	}
	rows := table(t, "Who talks to whom", "connected to")
	checked := 0
	for _, row := range rows[1:] {
		for i, cell := range row[3:] {
			for _, to := range peers[row[0]] {
				for _, from := range peers[rows[0][i+3]] {
					checked++
					if got := permits(policies, connection{from, to, corev1.ProtocolTCP, 9090}); got != (cell == "yes") {
						t.Errorf("%s to %s: the policies permit it: %t, the table: %s", rows[0][i+3], row[0], got, cell)
					}
				}
			}
		}
	}
	if checked != 14 {
		t.Errorf("%d connections were looked at, want 14", checked)
	}
}
