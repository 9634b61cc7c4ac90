// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
	"github.com/weir-gitops/weir/hack/cluster/internal/pki"
)

// TestNode runs pods on a real node, has them talk, and looks for what is left when it is gone.
func TestNode(t *testing.T) {
	clean := facts(t)
	f := newFixture(t)
	f.must("up", "--node", "--node-gpus=8", "--gpu-nodes=1")
	state := f.state()
	pushPeer(t, state.Registry+"/weir-gitops/peer:v1")
	before := observe(t, state, clean)
	f.applyPeers()
	t.Run("pods", func(t *testing.T) { checkPods(t, f.in(t)) })
	t.Run("names and services", func(t *testing.T) { checkServices(t, f.in(t), state) })
	t.Run("webhook", func(t *testing.T) { checkWebhook(t, f.in(t)) })
	t.Run("components", func(t *testing.T) { checkComponents(t, f.in(t), state) })
	t.Run("restore", func(t *testing.T) { checkNodeRestore(t, f.in(t), state) })
	t.Run("run", func(t *testing.T) {
		if got := f.in(t).must("run", "--", "nft", "list", "tables"); !strings.Contains(got, "kube-proxy") {
			t.Errorf("the node has the tables %q, want one of kube-proxy's", got)
		}
	})
	f.must("down")
	f.leftNothing(before)
}

// TestNodesEnd has several nodes side by side end in all ways there are.
func TestNodesEnd(t *testing.T) {
	clean := facts(t)
	owner := exec.Command("sleep", "600")
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = owner.Process.Kill()
		// It says only how the owner ended.
		_ = owner.Wait()
	})
	ends := map[string]struct {
		args []string
		end  func(cluster.State) error
		dead bool   // whether it is left to "down" to clear up
		said string // by status afterwards
	}{
		"killed first process": {
			end:  func(s cluster.State) error { return syscall.Kill(s.Init, syscall.SIGKILL) },
			said: "node ended by itself (signal: killed)",
		},
		"killed supervisor": {
			end:  func(s cluster.State) error { return syscall.Kill(s.PID, syscall.SIGKILL) },
			dead: true,
		},
		"ended owner": {
			args: []string{"--owner-pid=" + strconv.Itoa(owner.Process.Pid)},
			end:  func(cluster.State) error { return owner.Process.Kill() },
		},
	}
	fixtures, states, seen := map[string]*fixture{}, map[string]cluster.State{}, map[string]machine{}
	var starts sync.WaitGroup
	for name, tt := range ends {
		f := newFixture(t)
		fixtures[name] = f
		up := f.launcher("up", append([]string{"--node"}, tt.args...)...)
		starts.Go(func() {
			// Only the test's own goroutine may end it.
			if said, err := up.CombinedOutput(); err != nil {
				t.Errorf("%s: up ended with %v:\n%s", name, err, said)
			}
		})
	}
	starts.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for name, f := range fixtures {
		states[name] = f.state()
		f.must("kubectl", "--", "create", "deployment", "sleeper", "--image=any.registry/pause:1", "--replicas=2")
		f.must("kubectl", "--", "wait", "--for=condition=Available", "--timeout=120s", "deployment/sleeper")
		seen[name] = observe(t, states[name], clean)
	}
	for name, tt := range ends {
		f := fixtures[name].in(t)
		if err := tt.end(states[name]); err != nil {
			t.Fatal(err)
		}
		want := cluster.Absent
		if tt.dead {
			want = cluster.Dead
		}
		f.eventually(func() string {
			if got := f.state().Phase; got != want {
				return fmt.Sprintf("%s: the cluster is %s, want %s", name, got, want)
			}
			return ""
		})
		if tt.said != "" {
			f.refused(tt.said, "status")
		}
		if tt.dead {
			// Another start clears up as well.
			f.must("up", "--node")
			f.must("down")
		}
		f.leftNothing(seen[name])
	}
}

// TestNodeInterrupted ends starts in the middle.
func TestNodeInterrupted(t *testing.T) {
	clean := facts(t)
	tests := map[string]struct {
		after  string
		signal syscall.Signal
	}{
		"Ctrl-C at the first step":  {"namespaces", syscall.SIGINT},
		"kill of the launcher":      {"etcd", syscall.SIGKILL},
		"Ctrl-C before the kubelet": {"controllers", syscall.SIGINT},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			cmd, _ := f.startUntil(tt.after, "--node")
			seen := observe(t, f.state(), clean)
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("an interrupted up ended with success")
			}
			f.leftNothing(seen)
		})
	}
}

// applyPeers creates two pods that serve, with a certificate, and one that needs GPUs.
func (f *fixture) applyPeers() {
	f.t.Helper()
	authority, err := pki.NewAuthority("peers")
	if err != nil {
		f.t.Fatal(err)
	}
	pair, err := authority.Issue(pki.Subject{Name: "peer", DNS: []string{"peer.peers.svc"}})
	if err != nil {
		f.t.Fatal(err)
	}
	dir := f.t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, data := range map[string][]byte{cert: pair.Cert, key: pair.Key, filepath.Join(dir, "ca.crt"): authority.Cert} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	f.must("kubectl", "--", "create", "namespace", "peers")
	f.must("kubectl", "--", "create", "secret", "generic", "peer-tls", "-n=peers", "--from-file="+cert, "--from-file="+key)
	f.must("kubectl", "--", "create", "configmap", "peer-ca", "-n=peers", "--from-literal=ca="+base64.StdEncoding.EncodeToString(authority.Cert))
	f.must("kubectl", "--", "apply", "--server-side", "-f", "testdata/peers.yaml")
	f.must("kubectl", "--", "wait", "-n=peers", "--for=condition=Available", "--timeout=120s", "deployment/peer")
}

func checkPods(t *testing.T, f *fixture) {
	f.must("kubectl", "--", "wait", "-n=peers", "--for=condition=Ready", "--timeout=120s", "pod/train", "pod/pretend")
	tests := map[string]struct {
		args []string
		want string
	}{
		"log":  {[]string{"logs", "-n=peers", "deployment/peer"}, "peer serves\n"},
		"exec": {[]string{"exec", "-n=peers", "deployment/peer", "--", "/peer", "--hello"}, "hello\n"},
		"node": {
			[]string{"get", "pods", "-n=peers", "--sort-by=.metadata.name", "-o=jsonpath={.items[*].spec.nodeName}"},
			"node-0 node-0 gpu-0 node-0",
		},
		"gpus": {[]string{"get", "node", "node-0", `-o=jsonpath={.status.allocatable.nvidia\.com/gpu}`}, "8"},
	}
	for name, tt := range tests {
		if got := f.must("kubectl", append([]string{"--"}, tt.args...)...); got != tt.want {
			t.Errorf("%s is %q, want %q", name, got, tt.want)
		}
	}
}

// ask has a peer do something, by way of its node port, and returns its answer.
func ask(state cluster.State, path string, form url.Values) (string, error) {
	answer, err := http.Get("http://" + net.JoinHostPort(state.NodeAddress, "30080") + path + "?" + form.Encode())
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), err
}

func checkServices(t *testing.T, f *fixture, state cluster.State) {
	listener, err := net.Listen("tcp", net.JoinHostPort(state.HostAddress, "0"))
	if err != nil {
		t.Fatal(err)
	}
	host := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "the machine")
	})}}
	host.Start()
	defer host.Close()
	tests := map[string]struct{ path, key, value, want string }{
		"a service's name":       {"/lookup", "name", "kubernetes.default.svc.cluster.local", "10.96.0.1"},
		"a name to be completed": {"/lookup", "name", "kubernetes.default", "10.96.0.1"},
		"the machine":            {"/get", "url", host.URL, "the machine"},
		"the API server":         {"/get", "url", "https://kubernetes.default/version", `"gitVersion": "` + state.Version + `"`},
		"the other or itself":    {"/get", "url", "http://peer/name", "peer-"},
	}
	for name, tt := range tests {
		// Each time either of the pods may answer, and be led to itself or to the other.
		for range 5 {
			got, err := ask(state, tt.path, url.Values{tt.key: {tt.value}})
			if err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("%s: a pod got %q (%v), want %q in it", name, got, err, tt.want)
				break
			}
		}
	}
	if got, err := ask(state, "/lookup", url.Values{"name": {"example.com"}}); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("a name outside is %q (%v), want an error that there is no such host", got, err)
	}
	pod := strings.Fields(f.must("kubectl", "--", "get", "pods", "-n=peers", "-l=app=peer", "-o=jsonpath={.items[*].status.podIP}"))[0]
	if got, err := ask(state, "/get", url.Values{"url": {"http://" + net.JoinHostPort(pod, "8080") + "/name"}}); err != nil {
		t.Errorf("a pod by its address: %q, %v", got, err)
	}
}

// checkWebhook sees the API server ask a pod by its service.
func checkWebhook(t *testing.T, f *fixture) {
	ca := f.must("kubectl", "--", "get", "configmap", "peer-ca", "-n=peers", "-o=jsonpath={.data.ca}")
	file := filepath.Join(t.TempDir(), "webhook.yaml")
	text := fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: peer}
webhooks:
  - name: peer.weir.example
    clientConfig: {service: {namespace: peers, name: peer, path: /admit}, caBundle: %s}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: peers}}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Ignore
    timeoutSeconds: 5
`, ca)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must("kubectl", "--", "apply", "-f", file)
	f.eventually(func() string {
		_, _, said := f.run("kubectl", "--", "create", "configmap", "unwanted", "-n=peers", "--dry-run=server")
		if !strings.Contains(said, "the peer says no") {
			return "creating an object that the webhook refuses said " + said
		}
		return ""
	})
	f.must("kubectl", "--", "delete", "-f", file)
}

func checkComponents(t *testing.T, f *fixture, state cluster.State) {
	f.must("component", "kill", "kube-apiserver")
	if code, _, _ := f.run("kubectl", "--", "get", "nodes", "--request-timeout=2s"); code == 0 {
		t.Error("the API server answers although it was killed")
	}
	if got, err := ask(state, "/name", nil); err != nil {
		t.Errorf("without an API server, a pod answers %q, %v", got, err)
	}
	f.must("component", "start", "kube-apiserver")
	f.must("kubectl", "--", "get", "nodes")
	f.refused("already", "component", "start", "kube-apiserver")
	f.refused("there is no component", "component", "stop", "scheduler")
	f.refused("can be told to", "component", "restart", "etcd")
	for _, name := range []string{"etcd", "kubelet", "containerd", "registry", "coredns", "kube-proxy", "kube-scheduler", "kwok"} {
		f.must("component", "stop", name)
		f.must("component", "start", name)
	}
	if got := f.must("kubectl", "--", "get", "node", "node-0", `-o=jsonpath={.status.allocatable.nvidia\.com/gpu}`); got != "8" {
		t.Errorf("after a restart of the kubelet the node offers %q GPUs, want 8", got)
	}
	// What ends by itself comes again, and what was pushed to the registry is still there.
	for _, component := range f.state().Components {
		if component.Name == "kubelet" || component.Name == "registry" {
			if err := syscall.Kill(component.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.eventually(func() string {
		for _, component := range f.state().Components {
			if (component.Name == "kubelet" || component.Name == "registry") && component.Restarts == 0 {
				return component.Name + " was not started again"
			}
		}
		return ""
	})
	restarts := []string{"--", "get", "pods", "-n=peers", "-o=jsonpath={.items[*].status.containerStatuses[*].restartCount}"}
	if got := f.must("kubectl", restarts...); got != "0 0 0 0" {
		t.Errorf("after that the containers were restarted %q times, want never", got)
	}
	f.eventually(func() string {
		answer, err := http.Get("http://" + state.Registry + "/v2/weir-gitops/peer/manifests/v1")
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return "the registry answers " + answer.Status
		}
		return ""
	})
}

// checkNodeRestore sees pods go on while their cluster goes back to a snapshot.
func checkNodeRestore(t *testing.T, f *fixture, state cluster.State) {
	pods := []string{"--", "get", "pods", "-n=peers", "-l=app=peer", "-o=jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[*].restartCount}"}
	before := f.must("kubectl", pods...)
	file := filepath.Join(t.TempDir(), "snapshot")
	f.must("snapshot", file)
	f.must("kubectl", "--", "create", "configmap", "after")
	f.must("restore", file)
	f.refused("NotFound", "kubectl", "--", "get", "configmap", "after")
	f.must("kubectl", "--", "wait", "-n=peers", "--for=condition=Available", "--timeout=60s", "deployment/peer")
	if got := f.must("kubectl", pods...); got != before {
		t.Errorf("after a restore the pods are %q, want %q", got, before)
	}
	if got, err := ask(state, "/name", nil); err != nil {
		t.Errorf("after a restore a pod answers %q, %v", got, err)
	}
	if left := f.state().Components; slices.ContainsFunc(left, func(c cluster.Component) bool { return c.PID == 0 }) {
		t.Errorf("after a restore, components do not run: %+v", left)
	}
}
