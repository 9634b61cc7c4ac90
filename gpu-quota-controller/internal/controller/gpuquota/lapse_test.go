// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// ask has a Kustomization ask for pods of a Deployment with a GPU each, and
// waits until that is granted.
func (s *suite) ask(owner *unstructured.Unstructured, pods int64) {
	s.Helper()
	ns := owner.GetNamespace()
	data, hash, err := gate.Encode(gate.Request{
		Kind: owner.GetKind(), Namespace: ns, Name: owner.GetName(), UID: owner.GetUID(), Revision: "main@sha1:1",
		Change: gate.Change{Objects: []gate.Object{{Key: "apps/Deployment/" + ns + "/web", Namespace: ns, After: gpu.Estimate{
			Groups: []gpu.Group{{Shape: gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(1)}}, Min: pods, Max: pods}},
		}}}},
	})
	s.must(err)
	request := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: gate.Name(owner.GetUID()), Labels: map[string]string{gate.Label: gate.LabelValue}},
		Data:       map[string]string{"request": string(data), "hash": hash},
	}
	s.must(kube.Create(s.Context(), request))
	s.Cleanup(func() { _ = kube.Delete(context.WithoutCancel(s.Context()), request) })
	s.eventually("the request is granted", func() bool {
		s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(request), request))
		return gate.Parse(request.Data).Verdict.Answer == gate.Granted
	})
}

// kustomization makes one that nobody applies.
func (s *suite) kustomization(ns string) *unstructured.Unstructured {
	s.Helper()
	owner := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
		"metadata": map[string]any{"namespace": ns, "name": "app"},
		"spec":     map[string]any{"interval": "1h", "prune": false, "sourceRef": map[string]any{"kind": "GitRepository", "name": "app"}},
	}}
	s.must(kube.Create(s.Context(), owner))
	return owner
}

// What a revision was granted is kept for its pods, however slowly they come.
// More pods than it asked for are charged like any others. If none came for
// fifteen minutes the rest is free, and its owner is told.
func TestGrantLapses(t *testing.T) {
	s := newSuite(t)
	ns := s.full()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(0)), Selector: selector("web"), Template: template("web", 1)},
	}
	s.must(kube.Create(s.Context(), deployment))
	replicas := func(n int32) {
		s.edited(deployment, func() { deployment.Spec.Replicas = new(n) })
	}
	owner := s.kustomization(ns)
	s.ask(owner, 3)
	s.awaitFigures("team", "team", "0", "3")
	s.denied(pod(ns, "stranger", 2))
	hours.Step(14 * time.Minute)
	replicas(1)
	s.awaitFigures("team", "team", "1", "2")
	hours.Step(14 * time.Minute)
	s.denied(pod(ns, "stranger", 2))
	s.awaitFigures("team", "team", "1", "2")

	hours.Step(2 * time.Minute)
	s.awaitFigures("team", "team", "1", "0")
	s.eventually("the owner is told", func() bool {
		list := &eventsv1.EventList{}
		s.must(kube.List(s.Context(), list, client.InNamespace(ns)))
		for i := range list.Items {
			e := &list.Items[i]
			if e.Reason == "GPUGrantLapsed" && e.Type == corev1.EventTypeWarning && e.Regarding.UID == owner.GetUID() && strings.Contains(e.Note, "main@sha1:1") {
				return true
			}
		}
		return false
	})
	s.create(pod(ns, "stranger", 2))
	s.awaitFigures("team", "team", "3", "0")
	// One more than there is room for.
	replicas(3)
	s.awaitFigures("team", "team", "4", "0")
	s.eventually("the third is denied", func() bool { return len(s.uids(ns, "web")) == 2 })
}

// edited changes a Deployment.
func (s *suite) edited(deployment *appsv1.Deployment, change func()) {
	s.Helper()
	before := deployment.DeepCopy()
	change()
	s.must(kube.Patch(s.Context(), deployment, client.MergeFrom(before)))
}

// A revision whose pods are more than it said draws on its grant first, and for
// the rest on what is free.
func TestMorePodsThanEstimated(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.full()
	s.create(pod(ns, "other", 1))
	s.ask(s.kustomization(ns), 2)
	s.awaitFigures("team", "team", "1", "2")
	s.must(kube.Create(s.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(5)), Selector: selector("web"), Template: template("web", 1)},
	}))
	s.awaitFigures("team", "team", "4", "0")
	if n := len(s.uids(ns, "web")); n != 3 {
		t.Errorf("%d pods, want the 2 that were granted and the 1 that was free", n)
	}
}
