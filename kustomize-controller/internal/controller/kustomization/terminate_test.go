// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// stuck is an object that a deletion does not remove until somebody lets go.
func stuck(name string) string {
	return strings.Replace(configMap(name, "one"), "namespace: $NS", "namespace: $NS, finalizers: [example.com/keep]", 1)
}

func (s *suite) letGo(name string) {
	s.Helper()
	s.patch("test", "v1/ConfigMap", name, "metadata: {finalizers: null}")
}

func (s *suite) gone(name string) bool {
	s.Helper()
	return apierrors.IsNotFound(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, &kustomizev1.Kustomization{}))
}

func waitForTermination(k *kustomizev1.Kustomization) {
	k.Spec.DeletionPolicy = kustomizev1.DeletionPolicyWaitForTermination
}

// There are more waiting than the controller has workers.
func TestWaitForTerminationHoldsNoWorker(t *testing.T) {
	const many = 8
	s := newSuite(t)
	files := map[string]string{"other/x.yaml": configMap("other", "one")}
	for i := range many {
		files[fmt.Sprintf("%d/x.yaml", i)] = stuck(fmt.Sprint("stuck-", i)) + "---\n" + configMap(fmt.Sprint("plain-", i), "one")
	}
	revision := s.push(files)
	at := func(path string) func(*kustomizev1.Kustomization) {
		return func(k *kustomizev1.Kustomization) { k.Spec.Path = "./" + path }
	}
	name := func(i int) string { return fmt.Sprint("app-", i) }
	for i := range many {
		s.create(name(i), waitForTermination, at(fmt.Sprint(i)))
	}
	for i := range many {
		s.awaitReady(name(i), revision)
	}
	for i := range many {
		s.must(kube.Delete(t.Context(), &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name(i)}}))
	}
	for i := range many {
		s.eventually("the objects are deleted", func() bool {
			held := s.live("v1/ConfigMap", fmt.Sprint("stuck-", i))
			return held.GetDeletionTimestamp() != nil && s.live("v1/ConfigMap", fmt.Sprint("plain-", i)) == nil
		})
	}
	s.create("other", at("other"))
	s.awaitReady("other", revision)
	obj := s.await(name(0), "says what it waits for", conditionsSay("Waiting for deleted objects to be gone: ConfigMap/"+s.ns+"/stuck-0"))
	if obj.DeletionTimestamp == nil {
		t.Error("it is not being deleted")
	}
	for i := range many {
		s.letGo(fmt.Sprint("stuck-", i))
	}
	for i := range many {
		s.eventually(name(i)+" is gone", func() bool { return s.gone(name(i)) })
	}
}

func conditionsSay(text string) func(*kustomizev1.Kustomization) bool {
	return func(k *kustomizev1.Kustomization) bool {
		return conditions.GetMessage(k, fluxmeta.ReconcilingCondition) == text
	}
}

// A restart in between neither forgets what is waited for nor begins anew.
func TestWaitForTerminationEnds(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"x.yaml": stuck("stuck")})
	s.create("app", waitForTermination, func(k *kustomizev1.Kustomization) { k.Spec.Timeout = &metav1.Duration{Duration: minimum} })
	s.awaitReady("app", revision)
	obj := s.get("app")
	s.must(kube.Delete(t.Context(), obj))
	s.await("app", "waits", conditionsSay("Waiting for deleted objects to be gone: ConfigMap/"+s.ns+"/stuck"))
	began := s.get("app").DeletionTimestamp.Time
	controller.stop(t)
	controller = startShared()
	t.Parallel()

	s.eventually("the object outlasts the wait", func() bool { return s.gone("app") })
	if took := time.Since(began); took < minimum-time.Second {
		t.Errorf("waited %s, want %s", took, minimum)
	}
	if s.live("v1/ConfigMap", "stuck") == nil {
		t.Error("the object is gone, so the wait need not have ended")
	}
	s.eventually("an event tells what is left", func() bool {
		return slicesContains(s.events("app"), "objects still terminating: ConfigMap/"+s.ns+"/stuck")
	})
	s.letGo("stuck")
}
