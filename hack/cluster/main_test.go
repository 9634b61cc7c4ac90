// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
	"github.com/weir-gitops/weir/hack/cluster/internal/command"
)

// TestMain lets the test program stand in for the launcher: it starts itself with a launcher's arguments.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.refused("there is no such cluster", "down")
	if got := f.state().Phase; got != cluster.Absent {
		t.Errorf("phase before up is %s, want %s", got, cluster.Absent)
	}
	f.must("up", "--gpu-nodes=2")
	f.refused("running already", "up")
	state := f.state()
	names := []string{}
	for _, component := range state.Components {
		names = append(names, component.Name)
	}
	want := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
	if state.Phase != cluster.Ready || !slices.Equal(names, want) {
		t.Errorf("after up the cluster is %s with %v, want %s with %v", state.Phase, names, cluster.Ready, want)
	}
	env := f.must("env")
	for _, line := range []string{"export KUBECONFIG='" + state.Kubeconfig + "'\n", "export KUBEBUILDER_ASSETS='" + state.Assets + "'\n"} {
		if !strings.Contains(env, line) {
			t.Errorf("env printed %q, want %q in it", env, line)
		}
	}
	t.Run("workloads", func(t *testing.T) { checkWorkloads(t, f.in(t)) })
	t.Run("restore", func(t *testing.T) { checkRestore(t, f.in(t)) })
	t.Run("stopped component", func(t *testing.T) { checkStopped(t, f.in(t)) })
	f.must("down")
	f.gone()
	f.refused("there is no such cluster", "down")
}

// checkWorkloads sees the simulated nodes run what the scheduler puts there, and no more than their GPUs allow.
func checkWorkloads(t *testing.T, f *fixture) {
	f.must("kubectl", "--", "apply", "-f", "testdata/workloads.yaml")
	f.must("kubectl", "--", "wait", "--for=condition=Available", "--timeout=60s", "deployment/server")
	f.must("kubectl", "--", "wait", "--for=condition=Complete", "--timeout=60s", "job/train")
	f.must("kubectl", "--", "wait", "--for=condition=PodScheduled=False", "--timeout=60s", "pod/too-big")
	if got, want := f.must("kubectl", "--", "get", "pods", "-l=app=server", "-o=jsonpath={.items[*].status.phase}"), "Running Running"; got != want {
		t.Errorf("the Deployment's pods are %q, want %q", got, want)
	}
	f.must("kubectl", "--", "delete", "--timeout=60s", "-f", "testdata/workloads.yaml")
}

func checkRestore(t *testing.T, f *fixture) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := f.state()
	f.must("kubectl", "--", "create", "configmap", "before")
	f.must("snapshot", file)
	f.must("kubectl", "--", "create", "configmap", "after")
	f.must("restore", file)
	f.must("kubectl", "--", "get", "configmap", "before")
	f.refused("NotFound", "kubectl", "--", "get", "configmap", "after")
	after := f.state()
	if after.Phase != cluster.Ready || after.Server != before.Server || len(after.Components) != len(before.Components) {
		t.Errorf("after the restore the cluster is %+v, want it ready and otherwise like before: %+v", after, before)
	}
	f.refused("no such file", "restore", file+".missing")
	f.must("kubectl", "--", "get", "configmap", "before")
}

// checkStopped sees a cluster go on without a component.
func checkStopped(t *testing.T, f *fixture) {
	f.must("component", "kill", "kube-apiserver")
	if code, _, _ := f.run("kubectl", "--", "get", "namespaces", "--request-timeout=2s"); code == 0 {
		t.Error("the API server answers although it was killed")
	}
	f.must("component", "start", "kube-apiserver")
	f.must("kubectl", "--", "get", "namespaces")
	f.refused("there is no component", "component", "kill", "kubelet")
	f.refused("no namespaces of its own", "run", "--", "true")
}

// TestPrograms asks every component for its version, under its own name and as an argument of the one program.
func TestPrograms(t *testing.T) {
	t.Parallel()
	var out, said bytes.Buffer
	if code := command.Run(t.Context(), []string{"build"}, &out, &said); code != 0 {
		t.Fatalf("build ended with exit code %d:\n%s", code, said.String())
	}
	assets := strings.TrimSpace(out.String())
	tests := map[string]struct{ ask, want string }{
		"etcd":                    {"--version", "etcd Version: 3."},
		"etcdutl":                 {"version", "etcdutl version: 3."},
		"kube-apiserver":          {"--version", "Kubernetes v1."},
		"kube-controller-manager": {"--version", "Kubernetes v1."},
		"kube-scheduler":          {"--version", "Kubernetes v1."},
		"kubectl":                 {"version --client", "Client Version: v1."},
		"kwok":                    {"--help", "--manage-all-nodes"},
	}
	whole := filepath.Join(assets, "..", "weirkube")
	for name, tt := range tests {
		for _, line := range [][]string{{filepath.Join(assets, name)}, {whole, name}} {
			line = append(line, strings.Fields(tt.ask)...)
			out, err := exec.Command(line[0], line[1:]...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%q printed %q (%v), want %q in it", line[1:], out, err, tt.want)
			}
		}
	}
	for name, args := range map[string][]string{"no component named": nil, `no component "kube-proxy"`: {"kube-proxy"}} {
		out, err := exec.Command(whole, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), name) {
			t.Errorf("weirkube %v printed %q (%v), want an error with %q", args, out, err, name)
		}
	}
}

func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.must("up")
	if err := syscall.Kill(f.state().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.eventually(func() string {
		return strings.Join(f.processes(), "\n")
	})
	if got := f.state().Phase; got != cluster.Dead {
		t.Errorf("phase after kill -9 of the supervisor is %s, want %s", got, cluster.Dead)
	}
	f.refused("Dead", "env")
	// up cleans up after it, and so does down.
	f.must("up")
	if err := syscall.Kill(f.state().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.eventually(func() string {
		return strings.Join(f.processes(), "\n")
	})
	f.must("down")
	f.gone()
}

func TestKilledComponent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.must("up")
	for _, component := range f.state().Components {
		if component.Name == "kube-scheduler" {
			if err := syscall.Kill(component.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.gone()
	f.refused("kube-scheduler ended by itself (signal: killed)", "status")
	f.refused("kube-scheduler ended by itself (signal: killed)", "down")
}

func TestRemovedDirectory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.must("up")
	f.eventually(func() string {
		if err := os.RemoveAll(f.dir); err != nil {
			return err.Error()
		}
		return ""
	})
	f.gone()
}

func TestOwner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	owner := exec.Command("sleep", "600")
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	f.must("up", "--owner-pid="+strconv.Itoa(owner.Process.Pid))
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	f.gone()
	// It says only how the owner ended.
	_ = owner.Wait()
	f.refused("watch the owner process", "up", "--owner-pid="+strconv.Itoa(owner.Process.Pid))
	f.gone()
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		after  string
		signal syscall.Signal
		args   []string
		said   string
	}{
		"Ctrl-C at the first step":  {after: "etcd", signal: syscall.SIGINT, said: "interrupted"},
		"Ctrl-C at the second step": {after: "kube-apiserver", signal: syscall.SIGINT, said: "nothing of it is left"},
		"kill of the launcher":      {after: "etcd", signal: syscall.SIGKILL},
		"Ctrl-C in the foreground":  {after: "etcd", signal: syscall.SIGINT, args: []string{"--foreground"}, said: "cluster weir is gone"},
		"ready and then terminated": {after: "is ready", signal: syscall.SIGTERM, args: []string{"--foreground"}, said: "cluster weir is gone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			cmd, heard := f.startUntil(tt.after, tt.args...)
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil && len(tt.args) == 0 {
				t.Error("an interrupted up ended with success")
			}
			if !strings.Contains(heard.text.String(), tt.said) {
				t.Errorf("up said %q, want %q in it", heard.text.String(), tt.said)
			}
			f.gone()
		})
	}
}

func TestDownDuringStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cmd, heard := f.startUntil("etcd")
	f.must("down")
	if err := cmd.Wait(); err == nil {
		t.Error("an up whose cluster was ended meanwhile ended with success")
	}
	if want := "somebody ended it before it was ready"; !strings.Contains(heard.text.String(), want) {
		t.Errorf("up said %q, want %q in it", heard.text.String(), want)
	}
	f.gone()
}
