// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/source-controller/internal/leader"
)

// TestALostLeaderIsUnmarked: a pod whose node is gone keeps its label until the
// next leader takes it off. The leader of another shard keeps its own.
func TestALostLeaderIsUnmarked(t *testing.T) {
	led := func(pod, lease string) {
		t.Helper()
		createPod(t, pod, map[string]string{leader.Label: "true"})
		p := &corev1.Pod{}
		if err := kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: pod}, p); err != nil {
			t.Fatal(err)
		}
		before := p.DeepCopy()
		p.Annotations = map[string]string{leader.LeaseAnnotation: lease}
		if err := kube.Patch(t.Context(), p, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	led("lost", "source-controller-leader-election")
	led("other-shard", "source-controller-leader-election-0123456789")
	createPod(t, "next", nil)
	next := startReplica(t, "next")
	eventually(t, "the next replica leads", func() bool { return leads(t, "next") && answers(t, "http://"+next.artifacts) })
	eventually(t, "the lost leader is unmarked", func() bool { return !leads(t, "lost") })
	if !leads(t, "other-shard") {
		t.Error("the leader of another shard has lost its label")
	}
}

// TestAMarkThatMovesComesBack: a cluster that is restored from a backup has the
// labels of its time, and the leader that goes on is another one.
func TestAMarkThatMovesComesBack(t *testing.T) {
	createPod(t, "before", nil)
	createPod(t, "goes-on", nil)
	goesOn := startReplica(t, "goes-on")
	eventually(t, "the replica leads", func() bool { return leads(t, "goes-on") && answers(t, "http://"+goesOn.artifacts) })
	for pod, metadata := range map[string]string{
		"goes-on": `{"metadata":{"labels":{"weir.dev/leader":null}}}`,
		"before":  `{"metadata":{"labels":{"weir.dev/leader":"true"},"annotations":{"weir.dev/lease":"source-controller-leader-election"}}}`,
	} {
		object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod}}
		if err := kube.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(metadata))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the leader alone is marked", func() bool { return leads(t, "goes-on") && !leads(t, "before") })
}
