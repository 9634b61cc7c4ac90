// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/gate"
)

// quotas is gpu-quota-controller, a program of its own, which is started when the
// first test asks for it.
var quotas quotaProgram

type quotaProgram struct {
	once sync.Once
	err  error
	cmd  *exec.Cmd
	dir  string
	log  bytes.Buffer
}

// start builds and starts it once, with the rights that it ships with.
func (p *quotaProgram) start(ctx context.Context) error {
	p.once.Do(func() { p.err = p.run(context.WithoutCancel(ctx)) })
	return p.err
}

func (p *quotaProgram) run(ctx context.Context) error {
	var err error
	if p.dir, err = os.MkdirTemp("", "weir-quota-"); err != nil {
		return err
	}
	program := filepath.Join(p.dir, "gpu-quota-controller")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "..", "..", "gpu-quota-controller")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build gpu-quota-controller: %w: %s", err, out)
	}
	kubeconfig, err := cluster.ServiceAccountKubeconfig(ctx, "weir-system", "gpu-quota-controller")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	if err := listener.Close(); err != nil {
		return err
	}
	p.cmd = exec.CommandContext(ctx, program, "--metrics-addr=0", "--health-addr=0", "--runtime-namespace=weir-system",
		"--webhook-port="+port, "--webhook-url=https://localhost:"+port)
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	return p.cmd.Start()
}

func (p *quotaProgram) stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// gated is a test whose namespace has a quota of its own.
type gated struct{ *suite }

// newGated makes a quota for the namespace, which spec may add to.
func newGated(s *suite, hard int, spec ...string) *gated {
	s.Helper()
	s.must(quotas.start(s.Context()))
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
