// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	apimeta "github.com/weir-gitops/weir/api/meta"
)

// snapshots are what Flux's tools show of a history.
func snapshots(history apimeta.History) []string {
	var lines []string
	for _, s := range history {
		lines = append(lines, strings.Join([]string{s.LastReconciledStatus, s.Metadata["revision"], s.Metadata["originRevision"]}, " "))
	}
	return lines
}

// What an artifact was made from is in the status, in the history and with
// every event.
func TestOriginRevision(t *testing.T) {
	const origin = "main@sha1:0123456789012345678901234567890123456789"
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	repo := &sourcev1.GitRepository{}
	s.must(kube.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: "repo"}, repo))
	repo.Status.Artifact.Metadata = map[string]string{"org.opencontainers.image.revision": origin}
	s.must(kube.Status().Update(t.Context(), repo))
	s.create("app")
	obj := s.awaitReady("app", revision)
	if obj.Status.LastAppliedOriginRevision != origin {
		t.Errorf("lastAppliedOriginRevision is %q, want %q", obj.Status.LastAppliedOriginRevision, origin)
	}
	if diff := cmp.Diff([]string{"ReconciliationSucceeded " + revision + " " + origin}, snapshots(obj.Status.History)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	s.eventually("an event names both revisions", func() bool {
		var list corev1.EventList
		s.must(kube.List(t.Context(), &list, client.InNamespace(s.ns)))
		for _, e := range list.Items {
			if e.Reason == "ReconciliationSucceeded" && e.Annotations["kustomize.toolkit.fluxcd.io/revision"] == revision &&
				e.Annotations["kustomize.toolkit.fluxcd.io/originRevision"] == origin {
				return true
			}
		}
		return false
	})
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	files := map[string]string{"a.yaml": configMap("a", "one")}
	good := s.push(files)
	s.create("app", func(k *kustomizev1.Kustomization) { k.Spec.RetryInterval = k.Spec.Interval.DeepCopy() })
	first := s.awaitReady("app", good).Status.History[0]
	if first.TotalReconciliations != 1 || first.LastReconciledDuration.Duration <= 0 || first.LastReconciledDuration.Duration > time.Minute {
		t.Errorf("first snapshot %+v", first)
	}
	// The same objects from another commit, then by request.
	files["README.md"] = "for people"
	next := s.push(files)
	s.awaitReady("app", next)
	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	obj := s.await("app", "has handled the request", func(k *kustomizev1.Kustomization) bool { return k.Status.LastHandledReconcileAt == "now" })
	if again := obj.Status.History[0]; again.Digest != first.Digest || again.TotalReconciliations != 3 || !again.FirstReconciled.Equal(&first.FirstReconciled) || again.Metadata["revision"] != next {
		t.Errorf("third snapshot %+v, first %+v", again, first)
	}
	bad := s.push(map[string]string{"a.yaml": configMap("a", "two"), "b.yaml": badService})
	s.awaitFailure("app", "ReconciliationFailed")
	s.push(map[string]string{"a.yaml": "a: [b"})
	s.awaitFailure("app", "BuildFailed")
	want := []string{"ReconciliationFailed " + bad + " ", "ReconciliationSucceeded " + next + " "}
	if diff := cmp.Diff(want, snapshots(s.get("app").Status.History)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}
