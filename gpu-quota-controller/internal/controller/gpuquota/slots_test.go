// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

func template(app string, gpus int64) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}}, Spec: podSpec(gpus)}
}

func selector(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

// full makes a quota of 4 GPUs and a namespace of it.
func (s *suite) full() (ns string) {
	s.Helper()
	ns = s.namespace("a", "team")
	s.quota("team", hard("4"))
	s.awaitReady("team", quotav1.EnforcedReason)
	return ns
}

// kill deletes the pods of an app, once, and keeps those that replace them out
// for as long as hold runs.
func (s *suite) kill(ns, app string) {
	s.Helper()
	s.must(kube.DeleteAllOf(s.Context(), &corev1.Pod{}, client.InNamespace(ns), client.MatchingLabels{"app": app}, client.GracePeriodSeconds(0)))
}

// uids returns the UIDs of the pods of an app.
func (s *suite) uids(ns, app string) map[string]bool {
	s.Helper()
	var list corev1.PodList
	s.must(kube.List(s.Context(), &list, client.InNamespace(ns), client.MatchingLabels{"app": app}))
	uids := map[string]bool{}
	for i := range list.Items {
		uids[string(list.Items[i].UID)] = true
	}
	return uids
}

// Pods that replace others of the same workload are admitted in a quota that is
// exceeded: the slot is the workload's.
func TestReplacementsKeepTheirSlot(t *testing.T) {
	for name, workload := range map[string]func(ns string) client.Object{
		"ReplicaSet": func(ns string) client.Object {
			return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(2)), Selector: selector("app"), Template: template("app", 2)}}
		},
		"StatefulSet": func(ns string) client.Object {
			return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2)), Selector: selector("app"), Template: template("app", 2)}}
		},
		"Deployment": func(ns string) client.Object {
			return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: selector("app"), Template: template("app", 2)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			ns := s.full()
			s.must(kube.Create(s.Context(), workload(ns)))
			s.awaitFigures("team", "team", "4", "0")
			// Exceeded now: nothing new gets in.
			s.edit("team", hard("2"))
			s.awaitReady("team", quotav1.EnforcedReason)
			before := s.uids(ns, "app")
			s.kill(ns, "app")
			s.eventually("other pods are there", func() bool {
				now := s.uids(ns, "app")
				for uid := range now {
					if before[uid] {
						return false
					}
				}
				return len(now) == 2
			})
			s.awaitFigures("team", "team", "4", "0")
			s.eventually("no slot and no reservation is left", func() bool {
				record := s.record("team")
				return len(record.Slots) == 0 && len(record.Reservations) == 0
			})
			s.denied(pod(ns, "another", 1))
		})
	}
}

// A rollout keeps the slots of a Deployment, from one ReplicaSet to the next.
func TestRolloutKeepsSlots(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.full()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)), Selector: selector("app"), Template: template("app", 4),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		},
	}
	s.must(kube.Create(s.Context(), deployment))
	s.awaitFigures("team", "team", "4", "0")
	s.edit("team", hard("1"))
	s.awaitReady("team", quotav1.EnforcedReason)
	before := s.uids(ns, "app")
	s.must(kube.Patch(s.Context(), deployment, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"template":{"metadata":{"annotations":{"v":"2"}}}}}`))))
	s.eventually("the new pod is there", func() bool {
		now := s.uids(ns, "app")
		for uid := range now {
			if !before[uid] && len(now) == 1 {
				return true
			}
		}
		return false
	})
	s.awaitFigures("team", "team", "4", "0")
}

// What a workload wants no more is free at once.
func TestSlotsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		workload func(ns string) client.Object
		end      func(s *suite, ns string, workload client.Object)
	}{
		"a ReplicaSet is scaled down": {
			func(ns string) client.Object {
				return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(2)), Selector: selector("app"), Template: template("app", 2)}}
			},
			func(s *suite, _ string, workload client.Object) {
				s.must(kube.Patch(s.Context(), workload, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`))))
			},
		},
		"a Deployment is deleted": {
			func(ns string) client.Object {
				return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(1)), Selector: selector("app"), Template: template("app", 4)}}
			},
			func(s *suite, _ string, workload client.Object) {
				s.must(kube.Delete(s.Context(), workload, client.PropagationPolicy(metav1.DeletePropagationBackground)))
			},
		},
		"a Job finishes": {
			func(ns string) client.Object {
				template := template("app", 2)
				template.Spec.RestartPolicy = corev1.RestartPolicyNever
				return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: batchv1.JobSpec{Parallelism: new(int32(2)), Completions: new(int32(2)), Template: template}}
			},
			func(*suite, string, client.Object) {}, // its pods complete by themselves
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			ns := s.full()
			workload := tc.workload(ns)
			s.must(kube.Create(s.Context(), workload))
			if _, job := workload.(*batchv1.Job); !job {
				s.awaitFigures("team", "team", "4", "0")
			}
			s.eventually("there are pods", func() bool { return len(s.uids(ns, "app")) > 0 })
			tc.end(s, ns, workload)
			s.awaitFigures("team", "team", "0", "0")
			s.create(pod(ns, "next", 4))
		})
	}
}
