// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// quotas is gpu-quota-controller, which is started when the first test asks for
// it.
var quotas testkit.QuotaController

// gated is a test whose namespace has a quota of its own.
type gated struct{ *suite }

// newGated makes a quota for the namespace, which spec may add to.
func newGated(s *suite, hard int, spec ...string) *gated {
	s.Helper()
	s.must(quotas.Start(s.Context(), cluster, filepath.Join("..", "..", "..", "..", "gpu-quota-controller")))
	g := &gated{s}
	g.must(kube.Create(s.Context(), g.quota(hard, spec...)))
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_ = kube.Delete(ctx, g.quota(hard))
	})
	g.eventually("the quota is counted", func() bool {
		ledger := newObject("v1/ConfigMap")
		err := kube.Get(s.Context(), client.ObjectKey{Namespace: "weir-system", Name: "gpu-ledger-" + s.ns}, ledger)
		return err == nil && !strings.Contains(field(ledger, "data", "record"), `"closed"`)
	})
	return g
}

func (g *gated) manifest(hard int, spec ...string) string {
	return fmt.Sprintf("{apiVersion: quota.weir.dev/v1alpha1, kind: GPUQuota, metadata: {name: %[1]s}, spec: {namespaces: [%[1]s], limits: [{device: gpu, hard: \"%[2]d\"}]%[3]s}}",
		g.ns, hard, strings.Join(append([]string{""}, spec...), ", "))
}

func (g *gated) quota(hard int, spec ...string) *unstructured.Unstructured {
	g.Helper()
	obj := &unstructured.Unstructured{}
	g.must(yaml.Unmarshal([]byte(g.manifest(hard, spec...)), &obj.Object))
	return obj
}

// deployment has so many replicas with a GPU each.
func deployment(name string, replicas int, more ...string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: $NS}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}%[3]s
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: example/x, resources: {limits: {nvidia.com/gpu: 1}}}]
`, name, replicas, strings.Join(append([]string{""}, more...), "\n  "))
}

// hold has somebody else take devices.
func (g *gated) hold(name string, count int) {
	g.Helper()
	obj := &unstructured.Unstructured{}
	g.must(yaml.Unmarshal([]byte(strings.ReplaceAll(deployment(name, count), "$NS", g.ns)), &obj.Object))
	g.must(kube.Create(g.Context(), obj))
	g.holds(name, count)
	// A quota that selects by name is asked about pods a moment after it was
	// made; those that came before count when they are counted.
	g.eventually("the quota counts them", func() bool {
		quota := newObject("quota.weir.dev/v1alpha1/GPUQuota")
		g.must(kube.Get(g.Context(), client.ObjectKey{Name: g.ns}, quota))
		used := 0
		devices, _, err := unstructured.NestedSlice(quota.Object, "status", "devices")
		if _, after, found := strings.Cut(fmt.Sprint(devices), "used:"); found {
			_, err = fmt.Sscanf(after, "%d", &used)
		}
		return err == nil && used >= count
	})
}

// release has them given back.
func (g *gated) release(name string) {
	g.Helper()
	obj := newObject("apps/v1/Deployment")
	obj.SetNamespace(g.ns)
	obj.SetName(name)
	g.must(kube.Delete(g.Context(), obj, client.PropagationPolicy(metav1.DeletePropagationBackground)))
}

// holds waits until a Deployment has so many pods.
func (g *gated) holds(name string, count int) {
	g.Helper()
	g.eventually(fmt.Sprintf("%s has %d pods", name, count), func() bool { return g.pods(name) == count })
}

func (g *gated) pods(name string) int {
	g.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("v1")
	list.SetKind("PodList")
	g.must(kube.List(g.Context(), list, client.InNamespace(g.ns), client.MatchingLabels{"app": name}))
	return len(list.Items)
}

// at makes a Kustomization of a folder of the source.
func at(path string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.Path = path }
}

// request returns the request of a Kustomization, or nil.
func (g *gated) request(name string) *unstructured.Unstructured {
	g.Helper()
	obj := newObject("v1/ConfigMap")
	err := kube.Get(g.Context(), client.ObjectKey{Namespace: "weir-system", Name: gate.Name(g.get(name).UID)}, obj)
	if apierrors.IsNotFound(err) {
		return nil
	}
	g.must(err)
	return obj
}

// wants checks that a text has all parts.
func (g *gated) wants(text string, parts ...string) {
	g.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			g.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// within reports how long it took until something held, and fails if that is
// longer than it may.
func (g *gated) within(most time.Duration, what string, done func() bool) {
	g.Helper()
	began := time.Now()
	g.eventually(what, done)
	took := time.Since(began)
	g.Logf("%s after %s", what, took.Round(time.Millisecond))
	if took > most {
		g.Errorf("%s after %s, may take %s", what, took, most)
	}
}
