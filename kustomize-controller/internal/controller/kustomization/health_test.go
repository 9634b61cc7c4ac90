// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

const server = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: $NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
      - name: server
        image: registry.example/server:1
        resources: {limits: {nvidia.com/gpu: "1"}}
`

func waiting(k *kustomizev1.Kustomization) {
	k.Spec.Wait = true
	k.Spec.Timeout = &metav1.Duration{Duration: 20 * time.Second}
}

func TestWaitsForHealthWithoutHoldingAWorker(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"server.yaml": server})
	s.create("app", waiting)
	obj := s.awaitReady("app", revision)
	if !conditions.IsTrue(obj, fluxmeta.HealthyCondition) {
		t.Errorf("conditions %+v, want Healthy", obj.Status.Conditions)
	}
	// Scaling is no illness: Ready stays, whatever the watch sees meanwhile.
	next := s.push(map[string]string{"server.yaml": strings.Replace(server, "replicas: 2", "replicas: 4", 1)})
	s.awaitReady("app", next)
}

// Flux waits for 30 s at least, so that is how long this test takes.
func TestHealthTimeoutNamesTheObject(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	// More GPUs than any node has: the pod stays pending.
	s.push(map[string]string{"server.yaml": strings.Replace(server, `nvidia.com/gpu: "1"`, `nvidia.com/gpu: "99"`, 1)})
	s.create("app", waiting)
	s.await("app", "says what it waits for", func(k *kustomizev1.Kustomization) bool {
		return strings.HasPrefix(conditions.GetMessage(k, fluxmeta.ReconcilingCondition), "Running health checks for revision")
	})
	message := s.awaitFailure("app", "HealthCheckFailed")
	if !strings.Contains(message, "timeout waiting for: [Deployment/"+s.ns+"/server status: 'InProgress'") {
		t.Errorf("message %q, want the Deployment and its state", message)
	}
	if !regexp.MustCompile(`; pod server-[a-z0-9]+: FailedScheduling: 0/\d+ nodes are available: .*Insufficient nvidia\.com/gpu`).MatchString(message) {
		t.Errorf("message %q, want to know why the pod does not run", message)
	}
	// Health that comes late counts at once.
	s.awaitReady("app", s.push(map[string]string{"server.yaml": server}))
}

func TestHealthChecksOfOtherObjects(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "v1", Kind: "ConfigMap", Namespace: s.ns, Name: "elsewhere"}}
		k.Spec.Timeout = &metav1.Duration{Duration: 20 * time.Second}
	})
	s.await("app", "waits for it", func(k *kustomizev1.Kustomization) bool {
		return conditions.IsReconciling(k) && s.live("v1/ConfigMap", "a") != nil
	})
	obj := newObject("v1/ConfigMap")
	obj.SetNamespace(s.ns)
	obj.SetName("elsewhere")
	s.must(kube.Create(t.Context(), obj))
	s.awaitReady("app", revision)
}

// A source stands for anything that reports its health in a Ready condition.
func TestLaterIllnessShowsAtOnceAndUnreadiesLate(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.push(map[string]string{"source.yaml": `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: managed, namespace: $NS}
spec: {url: "https://git.example/other", interval: 1h}
`})
	s.create("app", waiting)
	s.eventually("the object is applied", func() bool { return s.live("source.toolkit.fluxcd.io/v1/GitRepository", "managed") != nil })
	s.report("managed", "True")
	s.awaitReady("app", revision)
	s.report("managed", "False")
	s.await("app", "is unhealthy and still ready", func(k *kustomizev1.Kustomization) bool {
		return conditions.IsFalse(k, fluxmeta.HealthyCondition) && conditions.IsTrue(k, fluxmeta.ReadyCondition)
	})
	s.awaitFailure("app", "HealthCheckFailed")
	s.report("managed", "True")
	s.awaitReady("app", revision)
}

// report sets the Ready condition of a source.
func (s *suite) report(name, status string) {
	s.Helper()
	repo := &sourcev1.GitRepository{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, repo))
	repo.Status.ObservedGeneration = repo.Generation
	repo.Status.Conditions = []metav1.Condition{{
		Type: "Ready", Status: metav1.ConditionStatus(status), Reason: "Test", LastTransitionTime: metav1.Now(), ObservedGeneration: repo.Generation,
	}}
	s.must(kube.Status().Update(s.Context(), repo))
}

func job(extra string) string {
	return `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS, annotations: {kustomize.toolkit.fluxcd.io/force: enabled}}
spec:
  ` + extra + `
  template:
    spec:
      restartPolicy: Never
      containers: [{name: train, image: "registry.example/train:1"}]
`
}

func TestFinishedJobIsNotRunAgain(t *testing.T) {
	s := newSuite(t)
	files := map[string]string{"job.yaml": job("ttlSecondsAfterFinished: 1")}
	revision := s.push(files)
	s.create("app", waiting)
	obj := s.awaitReady("app", revision)
	if obj.Status.Weir == nil || len(obj.Status.Weir.CompletedJobs) != 1 || !obj.Status.Weir.CompletedJobs[0].Succeeded {
		t.Fatalf("status.weir = %+v, want the Job recorded", obj.Status.Weir)
	}
	s.eventually("its time to live is over", func() bool { return s.live("batch/v1/Job", "train") == nil })
	controller.stop(t)
	controller = startShared()
	files["b.yaml"] = configMap("b", "one")
	s.awaitReady("app", s.push(files))
	if s.live("batch/v1/Job", "train") != nil {
		t.Error("the Job ran again because its time to live removed it")
	}
	files["job.yaml"] = strings.Replace(files["job.yaml"], "train:1", "train:2", 1)
	s.push(files)
	s.eventually("a changed Job runs", func() bool { return s.live("batch/v1/Job", "train") != nil })
}

// allow gives a service account the rights of an administrator of its
// namespace.
func (s *suite) allow(account string) {
	s.Helper()
	s.must(kube.Create(s.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.ns, Name: account}},
	}))
}
