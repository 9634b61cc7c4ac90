// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// define makes a small definition of a kind that others own: the group, the
// names and the status subresource are theirs, the schema takes anything.
func (s *suite) define(group, version, kind string) {
	s.Helper()
	plural := strings.ToLower(kind) + "s"
	crd := newObject("apiextensions.k8s.io/v1/CustomResourceDefinition")
	s.must(yaml.Unmarshal([]byte(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: `+plural+"."+group+`
  annotations: {api-approved.kubernetes.io: "unapproved, for a test"}
spec:
  group: `+group+`
  names: {kind: `+kind+`, plural: `+plural+`}
  scope: Namespaced
  versions:
  - name: `+version+`
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`), &crd.Object))
	if err := kube.Create(s.Context(), crd); err != nil && !apierrors.IsAlreadyExists(err) {
		s.Fatal(err)
	}
	s.eventually(kind+" is served", func() bool {
		probe := newObject(group + "/" + version + "/" + kind)
		return apierrors.IsNotFound(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "probe"}, probe))
	})
}

// setStatus writes the status of an object, as its controller would.
func (s *suite) setStatus(kind, name, status string) {
	s.Helper()
	obj := s.live(kind, name)
	var content any
	s.must(yaml.Unmarshal([]byte(status), &content))
	obj.Object["status"] = content
	s.must(kube.Status().Update(s.Context(), obj))
}

const queuedTraining = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS, labels: {kueue.x-k8s.io/queue-name: gpu}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: train, image: "registry.example/train:1"}]
`

// admit does what Kueue does when there is room.
func (s *suite) admit() { s.patch("kueue", "batch/v1/Job", "train", "spec: {suspend: false}") }

func waitsForGPUs(k *kustomizev1.Kustomization) bool {
	return conditions.IsUnknown(k, fluxmeta.ReadyCondition) && conditions.GetReason(k, fluxmeta.ReadyCondition) == kustomizev1.WaitingForGPUsReason
}

// The timeout is Flux's shortest, and the queue takes longer than that.
func TestQueuedJobIsWaitedForWithoutTimeout(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.define("kueue.x-k8s.io", "v1beta1", "Workload")
	revision := s.push(map[string]string{"job.yaml": queuedTraining})
	began := time.Now()
	s.create("app", func(k *kustomizev1.Kustomization) {
		waiting(k)
		k.Spec.Timeout = &metav1.Duration{Duration: 30 * time.Second}
	})
	obj := s.await("app", "waits for GPUs", waitsForGPUs)
	want := "Waiting for GPUs: [Job/" + s.ns + "/train status: 'Queued': waiting in queue gpu]"
	if got := conditions.GetMessage(obj, fluxmeta.ReadyCondition); got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if conditions.GetReason(obj, fluxmeta.HealthyCondition) != kustomizev1.WaitingForGPUsReason || obj.Status.LastAppliedRevision != "" {
		t.Errorf("status %+v, want no revision, and Healthy to say why", obj.Status)
	}

	// What Kueue says of it is said here, too.
	workload := newObject("kueue.x-k8s.io/v1beta1/Workload")
	workload.SetNamespace(s.ns)
	workload.SetName("job-train-1")
	workload.SetLabels(map[string]string{"kueue.x-k8s.io/job-uid": string(s.live("batch/v1/Job", "train").GetUID())})
	s.must(kube.Create(t.Context(), workload))
	s.setStatus("kueue.x-k8s.io/v1beta1/Workload", "job-train-1",
		`conditions: [{type: QuotaReserved, status: "False", reason: Pending, message: "insufficient quota for nvidia.com/gpu in flavor h100, 8 more needed"}]`)
	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	s.await("app", "says what the queue says", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "8 more needed")
	})

	s.eventually("the timeout is over", func() bool { return time.Since(began) > 35*time.Second })
	if obj := s.get("app"); !waitsForGPUs(obj) {
		t.Fatalf("after the timeout: %+v", obj.Status.Conditions)
	}
	s.admit()
	s.awaitReady("app", revision)
}

func TestWorkloadThatGaveUpIsAFailure(t *testing.T) {
	s := newSuite(t)
	s.define("kueue.x-k8s.io", "v1beta1", "Workload")
	s.push(map[string]string{"job.yaml": queuedTraining})
	s.create("app", waiting)
	s.await("app", "waits for GPUs", waitsForGPUs)
	workload := newObject("kueue.x-k8s.io/v1beta1/Workload")
	workload.SetNamespace(s.ns)
	workload.SetName("job-train-2")
	workload.SetLabels(map[string]string{"kueue.x-k8s.io/job-uid": string(s.live("batch/v1/Job", "train").GetUID())})
	workload.Object["spec"] = map[string]any{"active": false}
	s.must(kube.Create(t.Context(), workload))
	s.setStatus("kueue.x-k8s.io/v1beta1/Workload", "job-train-2",
		`conditions: [{type: Evicted, status: "True", reason: DeactivatedDueToRequeuingLimitExceeded, message: tried too often}]`)
	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	if message := s.awaitFailure("app", "HealthCheckFailed"); !strings.Contains(message, "its Workload job-train-2 has failed: tried too often") {
		t.Errorf("message %q, want what the Workload says", message)
	}
}

func TestQueuedJobCountsAsReadyIfAskedTo(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"job.yaml": queuedTraining})
	s.create("app", func(k *kustomizev1.Kustomization) {
		waiting(k)
		k.Spec.Weir = &kustomizev1.WeirSpec{QueuedIsReady: true}
	})
	s.awaitReady("app", revision)
	s.admit()
	obj := s.await("app", "has seen the Job finish", func(k *kustomizev1.Kustomization) bool {
		return k.Status.Weir != nil && len(k.Status.Weir.CompletedJobs) == 1
	})
	if !conditions.IsReady(obj) || !conditions.IsTrue(obj, fluxmeta.HealthyCondition) {
		t.Errorf("conditions %+v, want it ready all the time", obj.Status.Conditions)
	}
}

const rayCluster = `
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: ray, namespace: $NS, labels: {kueue.x-k8s.io/queue-name: gpu}}
spec: {headGroupSpec: {}}
`

// A kind that kstatus finds healthy as soon as it exists, and its way back
// into the queue.
func TestKindOfTheTable(t *testing.T) {
	s := newSuite(t)
	s.define("ray.io", "v1", "RayCluster")
	const kind = "ray.io/v1/RayCluster"
	revision := s.push(map[string]string{"ray.yaml": rayCluster})
	s.create("app", waiting)
	s.await("app", "waits for its health", func(k *kustomizev1.Kustomization) bool {
		return strings.HasPrefix(conditions.GetMessage(k, fluxmeta.ReadyCondition), "Running health checks")
	})
	ready := `{desiredWorkerReplicas: 2, readyWorkerReplicas: 2, conditions: [{type: HeadPodReady, status: "True"}, {type: RayClusterProvisioned, status: "True"}]}`
	s.setStatus(kind, "ray", ready)
	s.awaitReady("app", revision)

	s.patch("kueue", kind, "ray", "spec: {suspend: true}")
	obj := s.await("app", "was preempted", func(k *kustomizev1.Kustomization) bool {
		return conditions.GetReason(k, fluxmeta.HealthyCondition) == kustomizev1.WaitingForGPUsReason
	})
	if !conditions.IsReady(obj) {
		t.Errorf("conditions %+v, want it ready still", obj.Status.Conditions)
	}
	s.patch("kueue", kind, "ray", "spec: {suspend: false}")
	s.await("app", "is well again", func(k *kustomizev1.Kustomization) bool { return conditions.IsTrue(k, fluxmeta.HealthyCondition) })
	s.setStatus(kind, "ray", `{conditions: [{type: ReplicaFailure, status: "True", message: "no room"}]}`)
	s.await("app", "is ill", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.HealthyCondition), "RayCluster/"+s.ns+"/ray status: 'Failed': no room")
	})
}
