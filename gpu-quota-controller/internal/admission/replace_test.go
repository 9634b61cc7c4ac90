// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// never fails the test if an app gets a pod before stop is called.
func never(t *testing.T, ns, name string) (stop func()) {
	t.Helper()
	watcher, err := clients.CoreV1().Pods(ns).Watch(t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if event.Type == watch.Added {
				t.Errorf("%s/%s got a pod", ns, name)
			}
		}
	}()
	return func() { watcher.Stop(); <-done }
}

// newStatefulSet has pods with a GPU each.
func newStatefulSet(ns, name string, replicas int) *appsv1.StatefulSet {
	pods := template(1)
	pods.Labels = map[string]string{"app": name}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(replicas)), Template: pods, Selector: &metav1.LabelSelector{MatchLabels: pods.Labels}, PodManagementPolicy: appsv1.ParallelPodManagement,
		},
	}
}

// TestStatefulSetPodIsReplaced: at full quota a pod that replaces another one
// is admitted, and who waits gets nothing of it.
func TestStatefulSetPodIsReplaced(t *testing.T) {
	t.Parallel()
	newTeam(t, "stateful", 2)
	if err := kube.Create(t.Context(), newStatefulSet("stateful", "db", 2)); err != nil {
		t.Fatal(err)
	}
	wantPods(t, deadline, "stateful", "db", 2)
	wantUsed(t, "stateful", 2)
	if err := kube.Create(t.Context(), newDeployment("stateful", "greedy", 2, 1)); err != nil {
		t.Fatal(err)
	}
	stop := never(t, "stateful", "greedy")
	for range 3 {
		before := podsOf(t, "stateful", "db")[0]
		if err := kube.Delete(t.Context(), &before); err != nil {
			t.Fatal(err)
		}
		within(t, deadline, func() error {
			for _, pod := range podsOf(t, "stateful", "db") {
				if pod.Name == before.Name && pod.UID != before.UID {
					return nil
				}
			}
			return fmt.Errorf("%s is not replaced", before.Name)
		})
	}
	stop()
}

// TestDrain: when a node is drained, a service keeps its GPUs while somebody
// waits for them.
func TestDrain(t *testing.T) {
	t.Parallel()
	newTeam(t, "drained", 4)
	if err := kube.Create(t.Context(), newDeployment("drained", "service", 4, 1)); err != nil {
		t.Fatal(err)
	}
	running := func(without string) func() error {
		return func() error {
			n := 0
			for _, pod := range podsOf(t, "drained", "service") {
				if pod.Status.Phase == corev1.PodRunning && pod.Spec.NodeName != without {
					n++
				}
			}
			if n != 4 {
				return fmt.Errorf("%d pods of the service run, want 4", n)
			}
			return nil
		}
	}
	within(t, deadline, running(""))
	wantUsed(t, "drained", 4)
	if err := kube.Create(t.Context(), newDeployment("drained", "greedy", 4, 1)); err != nil {
		t.Fatal(err)
	}
	stop := never(t, "drained", "greedy")
	node := podsOf(t, "drained", "service")[0].Spec.NodeName
	cordon := func(on bool) {
		patch := fmt.Sprintf(`{"spec":{"unschedulable":%t}}`, on)
		if err := kube.Patch(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	cordon(true)
	defer cordon(false)
	for _, pod := range podsOf(t, "drained", "service") {
		if pod.Spec.NodeName != node {
			continue
		}
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
		if err := clients.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(), eviction); err != nil {
			t.Fatal(err)
		}
	}
	within(t, deadline, running(node))
	stop()
	used, reserved := booked(t, "drained")
	t.Logf("used %s, reserved %s", used, reserved)
}

// TestWakeUp: whoever was denied gets its pods within two seconds when there is
// room, though its controller would have waited for much longer.
func TestWakeUp(t *testing.T) {
	t.Parallel()
	pods := template(1)
	pods.Labels = map[string]string{"app": "waiting"}
	for kind, tc := range map[string]struct {
		waiting client.Object
		limit   time.Duration
	}{
		"replicaset":  {newDeployment("wake-replicaset", "waiting", 2, 1), 2 * time.Second},
		"statefulset": {newStatefulSet("wake-statefulset", "waiting", 2), 2 * time.Second},
		"job": {&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "wake-job", Name: "waiting"}, Spec: batchv1.JobSpec{
			Parallelism: new(int32(2)), Completions: new(int32(2)),
			Template: corev1.PodTemplateSpec{ObjectMeta: pods.ObjectMeta, Spec: func() corev1.PodSpec {
				spec := pods.Spec
				spec.RestartPolicy = corev1.RestartPolicyNever
				// No node has it, so that it stays pending.
				spec.NodeSelector = map[string]string{"no": "such"}
				return spec
			}()},
			// The controller of Jobs collects changes for a second.
		}}, 3 * time.Second},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ns := "wake-" + kind
			newTeam(t, ns, 2)
			holder := newDeployment(ns, "holder", 1, 2)
			if err := kube.Create(t.Context(), holder); err != nil {
				t.Fatal(err)
			}
			wantPods(t, deadline, ns, "holder", 1)
			wantUsed(t, ns, 2)
			if err := kube.Create(t.Context(), tc.waiting); err != nil {
				t.Fatal(err)
			}
			stop := never(t, ns, "waiting")
			settle(t, 20*time.Second)
			stop()

			measure := func(what string, free func()) {
				began := time.Now()
				free()
				wantPods(t, tc.limit, ns, "waiting", 2)
				t.Logf("%s: pods after %s", what, time.Since(began).Round(time.Millisecond))
			}
			measure("freed", func() {
				if err := kube.Delete(t.Context(), holder, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
					t.Fatal(err)
				}
				wantPods(t, deadline, ns, "holder", 0)
			})
			wantUsed(t, ns, 2)
		})
	}
}

// TestWakeUpByQuota: a limit that is raised, and a quota that is suspended, wake
// who waits.
func TestWakeUpByQuota(t *testing.T) {
	t.Parallel()
	newTeam(t, "wake-quota", 1)
	if err := kube.Create(t.Context(), newDeployment("wake-quota", "app", 4, 1)); err != nil {
		t.Fatal(err)
	}
	wantPods(t, deadline, "wake-quota", "app", 1)
	wantUsed(t, "wake-quota", 1)
	settle(t, 15*time.Second)
	for _, tc := range []struct {
		patch string
		pods  int
	}{
		{`{"spec":{"limits":[{"device":"gpu","hard":"3"}]}}`, 3},
		{`{"spec":{"suspend":true}}`, 4},
	} {
		quota := &quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: "wake-quota"}}
		began := time.Now()
		if err := kube.Patch(t.Context(), quota, client.RawPatch(types.MergePatchType, []byte(tc.patch))); err != nil {
			t.Fatal(err)
		}
		wantPods(t, 2*time.Second, "wake-quota", "app", tc.pods)
		t.Logf("%s: pods after %s", tc.patch, time.Since(began).Round(time.Millisecond))
		wantUsed(t, "wake-quota", int64(tc.pods))
	}
}

// settle gives controllers time to back off.
func settle(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
