// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEventsOf(t *testing.T) {
	t.Parallel()
	event := func(kind, name, revision, message string) corev1.Event {
		return corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Annotations: map[string]string{"kustomize.toolkit.fluxcd.io/revision": revision}},
			InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}, Message: message,
		}
	}
	got := eventsOf([]corev1.Event{
		event("Kustomization", "chat", "main@sha1:b", "Deployment/a/chat configured"),
		event("Kustomization", "chat", "main@sha1:a", "Deployment/a/chat created"),
		event("Kustomization", "chat", "main@sha1:b", "Deployment/a/chat configured"),
		event("GitRepository", "chat", "main@sha1:b", "stored artifact for commit 'a/b'"),
		event("Kustomization", "api", "main@sha1:b", "Reconciliation finished"),
	}, "main@sha1:b")
	if diff := cmp.Diff([]string{"Event of Kustomization/chat: Deployment/a/chat configured"}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestIngredients(t *testing.T) {
	t.Parallel()
	got, err := ingredients("../../examples/llm-platform", "infra/dev/training")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{"infra/base/training", "infra/dev/release/images", "infra/dev/release/model", "infra/dev/training"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ingredients (-want +got):\n%s", diff)
	}
	if _, err := ingredients("../../examples/llm-platform", "infra/nowhere"); err == nil {
		t.Error("no error for a directory that is not there")
	}
}
