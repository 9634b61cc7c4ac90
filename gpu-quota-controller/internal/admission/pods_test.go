// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// checkExceeded fails the test unless err is the denial by which workflow
// engines know that trying again makes sense.
func checkExceeded(t *testing.T, err error, text string) {
	t.Helper()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: GPUQuota ") || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v, want 403 with exceeded quota and %q", err, text)
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	newTeam(t, "denied", 4)
	if err := kube.Create(t.Context(), newPod("denied", "first", 3)); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, "denied", 3)
	err := kube.Create(t.Context(), newPod("denied", "second", 2))
	checkExceeded(t, err, `GPUQuota "denied": gpu requested 2, used 3, reserved 0, hard 4, over by 1`)
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	details := status.Status().Details
	if details == nil || len(details.Causes) != 1 || details.Causes[0].Field != "denied/gpu" || details.Causes[0].Type != "GPUQuotaExceeded" {
		t.Errorf("details: %+v", details)
	}
	err = kube.Create(t.Context(), newPod("denied", "huge", 5))
	if !apierrors.IsForbidden(err) || strings.Contains(err.Error(), "exceeded quota") || !strings.Contains(err.Error(), "can never fit") {
		t.Errorf("what can never fit: %v", err)
	}
	run := exec.CommandContext(t.Context(), filepath.Join(cluster.Assets(), "kubectl"), "--kubeconfig", cluster.Kubeconfig(), "-n", "denied",
		"run", "third", "--image=c", "--overrides", `{"spec":{"containers":[{"name":"c","image":"c","resources":{"limits":{"nvidia.com/gpu":"2"}}}]}}`)
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), `exceeded quota: GPUQuota "denied": gpu requested 2, used 3`) {
		t.Errorf("kubectl: %v, %s", err, out)
	}
	if err := kube.Create(t.Context(), newPod("denied", "fourth", 1)); err != nil {
		t.Errorf("one that fits: %v", err)
	}
	wantUsed(t, "denied", 4)
}

// TestTree: a pod is charged to every quota above.
func TestTree(t *testing.T) {
	t.Parallel()
	newTeam(t, "tree", 3)
	newNamespace(t, "tree-a", nil)
	newNamespace(t, "tree-b", nil)
	for _, child := range []string{"tree-a", "tree-b"} {
		quota := &quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: child}, Spec: quotav1.GPUQuotaSpec{
			ParentRef: &quotav1.ParentReference{Name: "tree"}, Namespaces: []string{child}, Limits: []quotav1.Limit{{Device: "gpu", Hard: "2"}},
		}}
		if err := kube.Create(t.Context(), quota); err != nil {
			t.Fatal(err)
		}
	}
	within(t, deadline, func() error {
		record, err := books.Get(t.Context(), "tree")
		if err == nil && len(record.Quotas) != 3 {
			err = fmt.Errorf("%d quotas in the ledger", len(record.Quotas))
		}
		return err
	})
	// The entry for names is new.
	within(t, deadline, func() error {
		if err := kube.Create(t.Context(), newPod("tree-a", "probe", 3), client.DryRunAll); err == nil {
			return errors.New("not asked about")
		}
		return nil
	})
	if err := kube.Create(t.Context(), newPod("tree-a", "one", 2)); err != nil {
		t.Fatal(err)
	}
	checkExceeded(t, kube.Create(t.Context(), newPod("tree-a", "two", 1)), `"tree-a"`)
	checkExceeded(t, kube.Create(t.Context(), newPod("tree-b", "one", 2)), `GPUQuota "tree": gpu requested 2`)
	if err := kube.Create(t.Context(), newPod("tree-b", "one", 1)); err != nil {
		t.Fatal(err)
	}
	checkExceeded(t, kube.Create(t.Context(), newPod("tree", "one", 1)), `GPUQuota "tree": gpu requested 1`)
}

func TestDryRunReservesNothing(t *testing.T) {
	t.Parallel()
	newTeam(t, "dry", 4)
	for range 3 {
		if err := kube.Create(t.Context(), newPod("dry", "pod", 4), client.DryRunAll); err != nil {
			t.Fatal(err)
		}
	}
	if used, reserved := booked(t, "dry"); !used.IsZero() || !reserved.IsZero() {
		t.Errorf("used %s, reserved %s after dry-runs", used, reserved)
	}
	checkExceeded(t, func() error {
		if err := kube.Create(t.Context(), newPod("dry", "pod", 4)); err != nil {
			t.Fatal(err)
		}
		return kube.Create(t.Context(), newPod("dry", "other", 1), client.DryRunAll)
	}(), `"dry"`)
}

func TestGenerateName(t *testing.T) {
	t.Parallel()
	newTeam(t, "generated", 2)
	generated := func() error {
		pod := newPod("generated", "", 1)
		pod.GenerateName = "p-"
		return kube.Create(t.Context(), pod)
	}
	for range 2 {
		if err := generated(); err != nil {
			t.Fatal(err)
		}
	}
	checkExceeded(t, generated(), `"generated"`)
	wantUsed(t, "generated", 2)
}

// TestRace: of many who want the last GPU one gets it.
func TestRace(t *testing.T) {
	t.Parallel()
	newTeam(t, "race", 1)
	for round := range 5 {
		var group sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			group.Go(func() { results[i] = kube.Create(t.Context(), newPod("race", fmt.Sprintf("r%d-%d", round, i), 1)) })
		}
		group.Wait()
		admitted := 0
		for _, err := range results {
			if err == nil {
				admitted++
				continue
			}
			checkExceeded(t, err, `"race"`)
		}
		if admitted != 1 {
			t.Fatalf("round %d: %d admitted, want 1", round, admitted)
		}
		// Deletion frees, at once: the next round begins.
		if err := kube.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace("race"), client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeletionFrees: a pod in the place of one that is gone is admitted, though
// the count may be a moment behind.
func TestDeletionFrees(t *testing.T) {
	t.Parallel()
	newTeam(t, "freed", 8)
	for i := range 10 {
		pod := newPod("freed", "pod"+strconv.Itoa(i), 8)
		if err := kube.Create(t.Context(), pod); err != nil {
			t.Fatalf("pod %d: %v", i, err)
		}
		if err := kube.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	wantUsed(t, "freed", 0)
}

// TestScaleUp: a ReplicaSet gets as many pods as fit, and says why no more.
func TestScaleUp(t *testing.T) {
	t.Parallel()
	newTeam(t, "scaled", 3)
	deployment := newDeployment("scaled", "app", 2, 1)
	if err := kube.Create(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	wantPods(t, deadline, "scaled", "app", 2)
	if err := kube.SubResource("scale").Patch(t.Context(), deployment, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":5}}`))); err != nil {
		t.Fatal(err)
	}
	wantPods(t, deadline, "scaled", "app", 3)
	within(t, deadline, func() error {
		var sets appsv1.ReplicaSetList
		if err := kube.List(t.Context(), &sets, client.InNamespace("scaled")); err != nil {
			return err
		}
		for i := range sets.Items {
			for _, condition := range sets.Items[i].Status.Conditions {
				if condition.Type == appsv1.ReplicaSetReplicaFailure && strings.Contains(condition.Message, `exceeded quota: GPUQuota "scaled"`) {
					return nil
				}
			}
		}
		return errors.New("the ReplicaSet does not say why")
	})
	if n := len(podsOf(t, "scaled", "app")); n != 3 {
		t.Errorf("%d pods, want 3", n)
	}
}

// TestNewNamespaces: a namespace that was created a moment ago is no gap.
func TestNewNamespaces(t *testing.T) {
	t.Parallel()
	newTeam(t, "young", 1)
	if err := kube.Create(t.Context(), newPod("young", "all", 1)); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, "young", 1)
	for i := range 10 {
		name := "young-" + strconv.Itoa(i)
		newNamespace(t, name, map[string]string{teamLabel: "young"})
		checkExceeded(t, kube.Create(t.Context(), newPod(name, "pod", 1)), `"young"`)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	newTeam(t, "warn", 1, func(q *quotav1.GPUQuota) { q.Spec.Enforcement.Admission = quotav1.Warn })
	pods, warnings := warning(t, "warn")
	for _, name := range []string{"fits", "warned"} {
		if _, err := pods.Create(t.Context(), newPod("warn", name, 1), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(warnings.texts) != 1 || !strings.Contains(warnings.texts[0], `GPUQuota "warn": gpu requested 1`) {
		t.Errorf("warnings: %q", warnings.texts)
	}
	wantUsed(t, "warn", 2)
}
