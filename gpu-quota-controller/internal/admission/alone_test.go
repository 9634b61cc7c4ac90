// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// The test of this file puts the clock forward, so it does not run in parallel
// with others.

// TestLaterDenial: a pod that is admitted here and refused after that leaves
// what was reserved for it, and that goes: when it is certain that no pod comes
// of it, and not before.
func TestLaterDenial(t *testing.T) {
	newTeam(t, "stray", 4)
	none := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "stray", Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
	if err := kube.Create(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error {
		err := kube.Get(t.Context(), client.ObjectKeyFromObject(none), none)
		if err == nil && none.Status.Hard == nil {
			err = errors.New("the quota of Kubernetes is not in force")
		}
		return err
	})
	err := kube.Create(t.Context(), newPod("stray", "pod", 3))
	if !apierrors.IsForbidden(err) || strings.Contains(err.Error(), "GPUQuota") {
		t.Fatalf("got %v, want a denial by the quota of Kubernetes", err)
	}
	if _, reserved := booked(t, "stray"); !reserved.Equal(gpu.Whole(3)) {
		t.Errorf("%s reserved, want 3", reserved)
	}
	if err := kube.Delete(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	checkExceeded(t, kube.Create(t.Context(), newPod("stray", "other", 2)), "reserved 3")
	// The same name, as a controller that numbers its pods tries again, costs nothing more.
	within(t, deadline, func() error { return kube.Create(t.Context(), newPod("stray", "pod", 3)) })
	if err := kube.Delete(t.Context(), newPod("stray", "pod", 3), client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	newNamespace(t, "stray-2", map[string]string{teamLabel: "stray"})
	hours.Step(80 * time.Second)
	if err := kube.Create(t.Context(), newPod("stray-2", "counts", 1)); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error {
		if used, _ := booked(t, "stray"); !used.Equal(gpu.Whole(1)) {
			return errors.New("nothing was counted")
		}
		return nil
	})
	if _, reserved := booked(t, "stray"); !reserved.Equal(gpu.Whole(3)) {
		t.Errorf("%s reserved after 80 s, want 3", reserved)
	}
	if err := kube.Delete(t.Context(), newPod("stray-2", "counts", 1), client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	hours.Step(15 * time.Second)
	wantUsed(t, "stray", 0)
	if err := kube.Create(t.Context(), newPod("stray", "all", 4)); err != nil {
		t.Error(err)
	}
}
