// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/leader"
)

const namespace = "weir-system"

// kube talks to the cluster as the administrator.
var kube client.Client

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.New(log.NullLogSink{}))
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) {
		if err := setup(c); err != nil {
			fmt.Fprintln(os.Stderr, "set up the tests:", err)
			os.Exit(1)
		}
	}))
}

func setup(c *testkit.Cluster) error {
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if kube, err = client.New(c.Config(), client.Options{Scheme: Scheme()}); err != nil {
		return err
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, namespace, name)
	if err != nil {
		return err
	}
	return os.Setenv("KUBECONFIG", kubeconfig)
}

// replica is one of several processes of the controller.
type replica struct {
	pod, artifacts, health string
	stop                   func()
}

// startReplica runs the controller as the given pod until stop, or the end of
// the test.
func startReplica(t *testing.T, pod string) *replica {
	t.Helper()
	r := &replica{pod: pod, artifacts: freeAddress(t), health: freeAddress(t)}
	o := parse(t, "--metrics-addr=0", "--health-addr="+r.health, "--runtime-namespace="+namespace, "--allow-local-sources",
		"--enable-leader-election", "--leader-election-lease-duration=3s", "--leader-election-renew-deadline=2s", "--leader-election-retry-period=500ms",
		"--storage-path="+t.TempDir(), "--storage-addr="+r.artifacts, "--storage-adv-addr="+r.artifacts)
	quiet := logr.New(log.NullLogSink{})
	o.Pod, o.PodNamespace, o.Logger = pod, namespace, &quiet
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Run(ctx, o)
	}()
	r.stop = func() { cancel(); <-done }
	t.Cleanup(r.stop)
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// createPod makes a pod that stays pending: there are no nodes.
func createPod(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			// A policy keeps the controller from marking pods of another account.
			ServiceAccountName: "source-controller",
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "c", Image: "c",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := kube.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

func leads(t *testing.T, pod string) bool {
	t.Helper()
	var p corev1.Pod
	if err := kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: pod}, &p); err != nil {
		t.Fatal(err)
	}
	return p.Labels[leader.Label] == "true"
}

func answers(t *testing.T, url string) bool {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("not within a minute: " + what)
		case <-tick.C:
		}
	}
}

// TestOneLeaderServes: of two replicas the leader has the label, the artifacts
// and the work, and the standby is ready to take all three.
func TestOneLeaderServes(t *testing.T) {
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), testkit.GitCommit{Files: testkit.Files(map[string]string{"a": "1"})}); err != nil {
		t.Fatal(err)
	}
	server, err := testkit.NewGitServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	createPod(t, "first", nil)
	// The second pod still has the label from before its process was killed.
	createPod(t, "second", map[string]string{leader.Label: "true"})
	first := startReplica(t, "first")
	eventually(t, "the first replica leads", func() bool { return leads(t, "first") && answers(t, "http://"+first.artifacts) })
	second := startReplica(t, "second")
	eventually(t, "the second replica is ready", func() bool { return answers(t, "http://"+second.health+"/readyz") })
	if leads(t, "second") || answers(t, "http://"+second.artifacts) {
		t.Error("the standby has the label, or serves artifacts")
	}

	obj := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "repo"},
		Spec: sourcev1.GitRepositorySpec{
			URL: server.URL + "/repo.git", Interval: metav1.Duration{Duration: time.Hour}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}
	if err := kube.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	servedBy := func(r *replica) func() bool {
		return func() bool {
			if err := kube.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
				t.Fatal(err)
			}
			a := obj.Status.Artifact
			return conditions.IsReady(obj) && a != nil && strings.Contains(a.URL, r.artifacts) && answers(t, a.URL)
		}
	}
	eventually(t, "the first replica serves the artifact", servedBy(first))

	first.stop()
	if leads(t, "first") {
		t.Error("the label is still on the pod that has stopped")
	}
	eventually(t, "the second replica leads", func() bool { return leads(t, "second") })
	eventually(t, "the second replica serves the artifact", servedBy(second))
}
