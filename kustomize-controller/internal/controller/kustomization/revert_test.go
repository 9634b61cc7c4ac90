// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"testing"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const badService = "apiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: $NS}\nspec: {ports: [{port: 99999}]}\n"

// TestRevertEndsTheFailure goes back to the artifact that was applied before a
// refused one: git revert restores the content, and so the digest.
func TestRevertEndsTheFailure(t *testing.T) {
	s := newSuite(t)
	files := map[string]string{"a.yaml": configMap("a", "one")}
	good := s.push(files)
	s.create("app")
	s.awaitReady("app", good)
	s.push(map[string]string{"a.yaml": configMap("a", "two"), "b.yaml": badService})
	s.awaitFailure("app", "ReconciliationFailed")
	s.push(files)
	s.awaitReady("app", good)

	// Each correction is a reconcile of its own; the second one begins when the status of the first is written.
	for _, value := range []string{"once", "twice"} {
		s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: "+value+"}")
		s.eventually("the change by hand is put back", func() bool { return field(s.live("v1/ConfigMap", "a"), "data", "key") == "one" })
	}
	if obj := s.get("app"); !conditions.IsReady(obj) {
		t.Errorf("not ready any more after the revert: %+v", obj.Status.Conditions)
	}
}

// TestRevertUndoesHalfAnApply goes back from a revision of which the first
// stage was written and the second refused.
func TestRevertUndoesHalfAnApply(t *testing.T) {
	s := newSuite(t)
	files := map[string]string{"a.yaml": configMap("a", "one")}
	good := s.push(files)
	s.create("app")
	s.awaitReady("app", good)
	s.push(map[string]string{
		"a.yaml": configMap("a", "one"),
		"b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: $NS-more}\n---\n" +
			"apiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: $NS-more}\nspec: {ports: [{port: 99999}]}\n",
	})
	s.awaitFailure("app", "ReconciliationFailed")
	namespace := &corev1.Namespace{}
	key := client.ObjectKey{Name: s.ns + "-more"}
	s.must(kube.Get(t.Context(), key, namespace))

	s.push(files)
	s.awaitReady("app", good)
	s.eventually("what the failed revision had written is pruned", func() bool {
		err := kube.Get(t.Context(), key, namespace)
		return apierrors.IsNotFound(err) || err == nil && !namespace.DeletionTimestamp.IsZero()
	})
}
