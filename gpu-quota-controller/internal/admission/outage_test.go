// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/webhook"
)

// The tests of this file stop the controller or count what it is asked, so they
// do not run in parallel with others.

// reviews is how many reviews this process has answered.
func reviews(t *testing.T) uint64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, family := range families {
		if family.GetName() == "gpuquota_admission_duration_seconds" && family.GetType() == dto.MetricType_HISTOGRAM {
			for _, metric := range family.GetMetric() {
				n += metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

// TestCPUPods: the webhook does not hear of pods without devices, nor of those
// of namespaces that no quota can select.
func TestCPUPods(t *testing.T) {
	newTeam(t, "quiet", 8)
	newNamespace(t, "quiet-other", nil)
	if err := kube.Create(t.Context(), newPod("quiet", "gpu", 1)); err != nil {
		t.Fatal(err)
	}
	before := reviews(t)
	if before == 0 {
		t.Fatal("reviews are not counted")
	}
	for i := range 20 {
		name := fmt.Sprint("cpu-", i)
		if err := kube.Create(t.Context(), newPod("quiet", name, 0)); err != nil {
			t.Fatal(err)
		}
		if err := kube.Create(t.Context(), newPod("quiet-other", name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if after := reviews(t); after != before {
		t.Errorf("%d reviews of pods that are nobody's business", after-before)
	}
}

// TestOutage: without the controller, pods with GPUs of selected namespaces
// wait, and nobody else does. Then the break-glass: without the configuration
// they do not wait either; when the controller is back it counts them, and
// evicts nobody.
func TestOutage(t *testing.T) {
	newTeam(t, "outage", 2)
	newNamespace(t, "outage-other", nil)
	controller.stop()
	started := false
	defer func() {
		if !started {
			if err := controller.start(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}()
	err := kube.Create(t.Context(), newPod("outage", "gpu", 1))
	if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "team.label.gpu-quota.weir.dev") {
		t.Errorf("a pod with a GPU in a selected namespace: %v, want a failed call of the webhook", err)
	}
	if err := kube.Create(t.Context(), newPod("outage", "cpu", 0)); err != nil {
		t.Errorf("a pod without one: %v", err)
	}
	if err := kube.Create(t.Context(), newPod("outage-other", "gpu", 1)); err != nil {
		t.Errorf("a pod in another namespace: %v", err)
	}

	configurations := clients.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if err := configurations.Delete(t.Context(), webhook.ConfigurationName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error { return kube.Create(t.Context(), newPod("outage", "flows-0", 2)) })
	for i := range 2 {
		if err := kube.Create(t.Context(), newPod("outage", fmt.Sprint("flows-", i+1), 2)); err != nil {
			t.Errorf("a pod after the configuration is gone: %v", err)
		}
	}

	started = true
	if err := controller.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, "outage", 6)
	within(t, deadline, func() error { return enforced(t, "outage") })
	within(t, deadline, func() error {
		quota := &quotav1.GPUQuota{}
		if err := kube.Get(t.Context(), client.ObjectKey{Name: "outage"}, quota); err != nil {
			return err
		}
		if !apimeta.IsStatusConditionTrue(quota.Status.Conditions, quotav1.ExceededCondition) {
			return fmt.Errorf("conditions: %v", quota.Status.Conditions)
		}
		return nil
	})
	within(t, deadline, func() error {
		if err := kube.Create(t.Context(), newPod("outage", "more", 1)); err == nil || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("one more: %w", err)
		}
		return nil
	})
	for i := range 3 {
		pod := newPod("outage", fmt.Sprint("flows-", i), 2)
		if err := kube.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil || pod.DeletionTimestamp != nil {
			t.Errorf("%s is not there any more (%v)", pod.Name, err)
		}
	}
}

// TestUnselected: GPUs are only for those who draw on a quota, if the flag says
// so.
func TestUnselected(t *testing.T) {
	newTeam(t, "selected", 2)
	newNamespace(t, "unselected", nil)
	if err := kube.Create(t.Context(), newPod("unselected", "allowed", 1)); err != nil {
		t.Fatal(err)
	}
	controller.stop()
	if err := controller.start(t.Context(), "--unselected=Deny"); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error {
		err := kube.Create(t.Context(), newPod("unselected", "probe", 1), client.DryRunAll)
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "draws on no GPUQuota") {
			return fmt.Errorf("a pod in a namespace without a quota: %w", err)
		}
		return nil
	})
	if err := kube.Create(t.Context(), newPod("unselected", "cpu", 0)); err != nil {
		t.Errorf("a pod without GPUs: %v", err)
	}
	if err := kube.Create(t.Context(), newPod("kube-system", "gpu", 1)); err != nil {
		t.Errorf("a pod of the system: %v", err)
	}
	if err := kube.Create(t.Context(), newPod("selected", "gpu", 2)); err != nil {
		t.Errorf("a pod with a quota: %v", err)
	}
	controller.stop()
	if err := controller.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error {
		return kube.Create(t.Context(), newPod("unselected", "probe", 1), client.DryRunAll)
	})
}

// TestRepaired: with the rights that ship, the controller sees at once that its
// webhook's configuration or certificate was removed, and restores it.
func TestRepaired(t *testing.T) {
	newTeam(t, "repaired", 1)
	configurations, secrets := clients.AdmissionregistrationV1().ValidatingWebhookConfigurations(), clients.CoreV1().Secrets(namespace)
	before, err := configurations.Get(t.Context(), webhook.ConfigurationName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := secrets.Delete(t.Context(), webhook.SecretName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := configurations.Delete(t.Context(), webhook.ConfigurationName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, func() error {
		after, err := configurations.Get(t.Context(), webhook.ConfigurationName, metav1.GetOptions{})
		if err == nil && cmp.Diff(before.Webhooks, after.Webhooks) != "" {
			err = errors.New("it is not what it was")
		}
		return err
	})
	within(t, time.Second, func() error {
		_, err := secrets.Get(t.Context(), webhook.SecretName, metav1.GetOptions{})
		return err
	})
}
