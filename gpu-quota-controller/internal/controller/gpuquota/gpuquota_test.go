// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// Pods count from the moment that they are admitted until they are gone or have
// finished.
func TestPodsAreCounted(t *testing.T) {
	s := newSuite(t)
	ns := s.namespace("a", "team")
	s.quota("team", hard("8"))
	s.awaitReady("team", quotav1.EnforcedReason)
	s.create(pod(ns, "one", 2))
	s.create(pod(ns, "two", 3))
	s.awaitFigures("team", "team", "5", "0")

	two := pod(ns, "two", 3)
	s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(two), two))
	two.Status.Phase = corev1.PodSucceeded
	s.must(kube.Status().Update(s.Context(), two))
	s.awaitFigures("team", "team", "2", "0")

	s.must(kube.Delete(s.Context(), pod(ns, "one", 2), client.GracePeriodSeconds(0)))
	s.awaitFigures("team", "team", "0", "0")
}

// A pod that terminates slowly holds what it holds until it is gone.
func TestTerminatingPodsHold(t *testing.T) {
	s := newSuite(t)
	ns := s.namespace("a", "team")
	s.quota("team", hard("8"))
	s.awaitReady("team", quotav1.EnforcedReason)
	slow := pod(ns, "slow", 4)
	slow.Finalizers = []string{"example.com/slow"}
	s.create(slow)
	s.awaitFigures("team", "team", "4", "0")
	s.must(kube.Delete(s.Context(), slow, client.GracePeriodSeconds(0)))
	s.create(pod(ns, "other", 1))
	s.awaitFigures("team", "team", "5", "0")
	s.must(kube.Patch(s.Context(), slow, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	s.awaitFigures("team", "team", "1", "0")
}

// A namespace that moves takes what its pods hold along.
func TestRelabelledNamespace(t *testing.T) {
	s := newSuite(t)
	ns := s.namespace("a", "old")
	s.quota("old", hard("8"))
	s.quota("new", hard("8"))
	s.awaitReady("old", quotav1.EnforcedReason)
	s.awaitReady("new", quotav1.EnforcedReason)
	s.create(pod(ns, "one", 4))
	s.awaitFigures("old", "old", "4", "0")
	s.must(kube.Patch(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+team+`":"`+s.name("new")+`"}}}`))))
	s.awaitFigures("new", "new", "4", "0")
	s.awaitFigures("old", "old", "0", "0")
}
