// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// TestPriority: a pod that would preempt others is no exception, since those
// hold their GPUs until they are gone.
func TestPriority(t *testing.T) {
	t.Parallel()
	newTeam(t, "priority", 2)
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "urgent"}, Value: 1_000_000}
	if err := kube.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	if err := kube.Create(t.Context(), newPod("priority", "ordinary", 2)); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, "priority", 2)
	pod := newPod("priority", "urgent", 2)
	pod.Spec.PriorityClassName = class.Name
	checkExceeded(t, kube.Create(t.Context(), pod.DeepCopy()), `GPUQuota "priority": gpu requested 2, used 2`)
	if err := kube.Delete(t.Context(), newPod("priority", "ordinary", 2), client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	if err := kube.Create(t.Context(), pod); err != nil || *pod.Spec.Priority != class.Value {
		t.Errorf("when they are gone: %v", err)
	}
}

// TestResize: a pod that has GPUs may change its CPUs, even in a quota that is
// exceeded; nobody gets more GPUs that way.
func TestResize(t *testing.T) {
	t.Parallel()
	newTeam(t, "resized", 2)
	pod := newPod("resized", "pod", 2)
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
	if err := kube.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, "resized", 2)
	setHard(t, "resized", 1)
	patch := func(resources string) error {
		text := `{"spec":{"containers":[{"name":"c","resources":` + resources + `}]}}`
		_, err := clients.CoreV1().Pods("resized").Patch(t.Context(), "pod", types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{}, "resize")
		return err
	}
	if err := patch(`{"requests":{"cpu":"2"}}`); err != nil {
		t.Errorf("more CPUs: %v", err)
	}
	if err := patch(`{"limits":{"nvidia.com/gpu":"3"},"requests":{"nvidia.com/gpu":"3"}}`); err == nil {
		t.Error("it was given another GPU")
	}
}

// TestInjected: GPUs that another webhook gives to a pod are counted.
func TestInjected(t *testing.T) {
	t.Parallel()
	newTeam(t, "injected", 2)
	inject(t, "injected", `[{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"nvidia.com/gpu":"2"},"requests":{"nvidia.com/gpu":"2"}}}]`)
	// The API server hears of the webhook a moment later.
	within(t, deadline, func() error {
		pod := newPod("injected", "probe", 0)
		if err := kube.Create(t.Context(), pod, client.DryRunAll); err != nil {
			return err
		}
		if pod.Spec.Containers[0].Resources.Limits == nil {
			return errors.New("nothing is injected")
		}
		return nil
	})
	if err := kube.Create(t.Context(), newPod("injected", "one", 0)); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, "injected", 2)
	checkExceeded(t, kube.Create(t.Context(), newPod("injected", "two", 0)), `GPUQuota "injected": gpu requested 2, used 2`)
}

// inject registers a mutating webhook that patches the pods of a namespace.
func inject(t *testing.T, ns, patch string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review := &admissionv1.AdmissionReview{}
		if err := json.NewDecoder(r.Body).Decode(review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Allowed: true, Patch: []byte(patch), PatchType: new(admissionv1.PatchTypeJSONPatch),
		}
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "inject-" + ns},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "inject.test.weir.dev", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionregistrationv1.SideEffectClassNone),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	if err := kube.Create(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Delete(context.WithoutCancel(t.Context()), configuration) })
}

// setHard sets the limit of a team and waits until the ledger has it.
func setHard(t *testing.T, name string, gpus int) {
	t.Helper()
	quota := &quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: name}}
	patch := fmt.Sprintf(`{"spec":{"limits":[{"device":"gpu","hard":"%d"}]}}`, gpus)
	if err := kube.Patch(t.Context(), quota, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error {
		record, err := books.Get(t.Context(), name)
		if err == nil && record.Quotas[name].Generation != quota.Generation {
			err = errors.New("the ledger does not have the limit")
		}
		return err
	})
}

// TestLimitMovesUnderLoad: while others go on creating pods, a limit that is
// raised is filled, and from the moment that a lowered one is in the ledger none
// is created.
func TestLimitMovesUnderLoad(t *testing.T) {
	t.Parallel()
	newTeam(t, "moving", 2)
	watcher, err := clients.CoreV1().Pods("moving").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for worker := range 3 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := kube.Create(ctx, newPod("moving", fmt.Sprintf("p-%d-%d", worker, i), 1))
				if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "exceeded quota") && !apierrors.IsTooManyRequests(err) {
					t.Errorf("worker %d: %v", worker, err)
				}
			}
		})
	}
	there := 0
	for _, step := range []struct{ hard, pods int }{{2, 2}, {6, 6}, {3, 6}, {5, 6}, {9, 9}, {1, 9}} {
		setHard(t, "moving", step.hard)
		for quiet := time.After(time.Second); quiet != nil; {
			select {
			case event := <-watcher.ResultChan():
				if event.Type == watch.Added {
					there++
				}
			case <-quiet:
				quiet = nil
			}
		}
		if there != step.pods {
			t.Errorf("limit %d: %d pods, want %d", step.hard, there, step.pods)
		}
	}
	cancel()
	load.Wait()
}
