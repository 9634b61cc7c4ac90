// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

const config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: $NS, annotations: {note: ours}}\ndata: {greeting: hello, other: x}"

func TestDriftIsPutBackWithoutADryRun(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"greeting": "changed"}}`)
	r.sent()
	drift := r.correct()
	want := []Correction{{Ref: r.ref("ConfigMap", "web"), Contenders: []Contender{{Path: ".data.greeting", Manager: "kubectl-edit"}}}}
	if diff := cmp.Diff(want, drift.Corrected); diff != "" {
		t.Errorf("corrected (-want +got):\n%s", diff)
	}
	if got, _, _ := unstructured.NestedString(r.live(configMapGVR, "web").Object, "data", "greeting"); got != "hello" {
		t.Errorf("greeting = %q, want it put back", got)
	}
	for _, request := range r.sent() {
		if strings.HasSuffix(request, "dry-run") {
			t.Errorf("sent %q, want no dry-run", request)
		}
	}
	r.settle()
}

func TestWhatKubectlAddsIsRemoved(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"extra": "by hand"}}`)
	r.correct()
	if diff := cmp.Diff(map[string]any{"greeting": "hello", "other": "x"}, r.live(configMapGVR, "web").Object["data"]); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestWhatOthersAddStays(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	r.kubectl("some-operator", configMapGVR, "web", `{"data": {"extra": "from an operator"}}`)
	r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"greeting": "changed"}}`)
	r.correct()
	want := map[string]any{"greeting": "hello", "other": "x", "extra": "from an operator"}
	if diff := cmp.Diff(want, r.live(configMapGVR, "web").Object["data"]); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestDeletedObjectIsCreatedAgain(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	r.kubectl("kubectl", configMapGVR, "web", "")
	if diff := cmp.Diff([]Correction{{Ref: r.ref("ConfigMap", "web"), Created: true}}, r.correct().Corrected); diff != "" {
		t.Errorf("corrected (-want +got):\n%s", diff)
	}
	r.settle()
}

// A watch tells of a lost label as it tells of a deletion.
func TestRemovedLabelIsNoDeletion(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	uid := r.live(configMapGVR, "web").GetUID()
	r.kubectl("somebody", configMapGVR, "web", `{"metadata": {"labels": {"test.weir.dev/name": null}}}`)
	drift := r.correct()
	if len(drift.Corrected) != 1 || drift.Corrected[0].Created {
		t.Errorf("corrected %+v, want the label put back on the live object", drift.Corrected)
	}
	r.settle()
	if live := r.live(configMapGVR, "web"); live.GetUID() != uid || live.GetLabels()["test.weir.dev/name"] != "owner" {
		t.Errorf("uid %s, labels %v, want the same object with its label", live.GetUID(), live.GetLabels())
	}
}

func TestTwoManagersThatFight(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	change := func(i int) {
		r.kubectl("some-operator", configMapGVR, "web", `{"data": {"greeting": "`+strconv.Itoa(i)+`"}}`)
	}
	for i := range contestReverts {
		change(i)
		if drift := r.correct(); len(drift.Corrected) != 1 {
			t.Fatalf("change %d: %+v, want it put back", i, drift)
		}
		r.settle()
	}
	change(contestReverts)
	drift := r.correct()
	want := []Contested{{r.ref("ConfigMap", "web"), Contender{Path: ".data.greeting", Manager: "some-operator"}}}
	if diff := cmp.Diff(want, drift.Contested); diff != "" || len(drift.Corrected) > 0 {
		t.Errorf("contested (-want +got):\n%s\ncorrected %v", diff, drift.Corrected)
	}
	if r.set.Settled(time.Now()) || !r.set.Settled(time.Now().Add(contestWindow+time.Second)) {
		t.Error("the contest must be over when its window is, and not before")
	}

	// At the interval it is put back all the same.
	if drift := r.correct(func(o *Options) { o.Insist = true }); len(drift.Corrected) != 1 {
		t.Errorf("at the interval: %+v, want it put back", drift)
	}
	r.settle()

	// Another path does not wait for the interval.
	change(99)
	r.kubectl("another", configMapGVR, "web", `{"data": {"other": "y"}}`)
	r.eventually("both changes are seen", func() bool {
		drift := r.correct()
		return len(drift.Corrected) == 1
	})
}

func TestObjectThatAsksToBeLeftAlone(t *testing.T) {
	r := newRig(t)
	r.mustApply(config)
	r.kubectl("kubectl-annotate", configMapGVR, "web", `{"metadata": {"annotations": {"test.weir.dev/reconcile": "disabled"}}, "data": {"greeting": "mine"}}`)
	key := types.NamespacedName{Namespace: r.owner.Namespace, Name: "web"}
	r.eventually("the watch sees the annotation", func() bool {
		record := r.engine.pool.Get(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, key)
		return record != nil && record.Left
	})
	if drifted := r.drifted(); len(drifted) > 0 {
		t.Errorf("drifted: %v, want none", drifted)
	}
	if got := r.mustApply(config)["ConfigMap/web"]; got != Unchanged {
		t.Errorf("apply: %s, want unchanged", got)
	}
	r.kubectl("kubectl-annotate", configMapGVR, "web", `{"metadata": {"annotations": {"test.weir.dev/reconcile": null}}}`)
	if len(r.correct().Corrected) != 1 {
		t.Error("want it put back as soon as the annotation is gone")
	}
}

const server = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: $NS}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example/web:1"}]}`

func TestReplicasOfAnAutoscaler(t *testing.T) {
	r := newRig(t)
	r.mustApply(server)
	r.kubectl("kubectl-scale", deploymentGVR, "web", `{"spec": {"replicas": 5}}`)
	if drift := r.correct(); len(drift.Corrected) != 1 {
		t.Errorf("without an autoscaler: %+v, want replicas put back", drift)
	}
	r.settle()

	r.kubectl("kubectl-create", schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, "", `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: $NS}
spec:
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}`)
	r.eventually("the autoscaler is seen", func() bool { return r.engine.scaled(r.ref("Deployment", "web")) })
	r.kubectl("horizontal-pod-autoscaler", deploymentGVR, "web", `{"spec": {"replicas": 7}}`)
	r.awaitRecord("web", func(record *watch.Record) bool { return record.Available == 7 })
	if drifted := r.drifted(); len(drifted) > 0 {
		t.Errorf("drifted: %v, want the autoscaler's replicas left alone", drifted)
	}
	if got := r.mustApply(server)["Deployment/web"]; got != Unchanged {
		t.Errorf("apply: %s, want unchanged", got)
	}
	r.kubectl("kubectl-edit", deploymentGVR, "web", `{"spec": {"minReadySeconds": 1, "template": {"spec": {"terminationGracePeriodSeconds": 5}}}}`)
	if drift := r.correct(); len(drift.Corrected) != 1 {
		t.Errorf("another field than replicas: %+v, want it put back", drift)
	}
}

func TestRolloutRestartIsLeftAlone(t *testing.T) {
	r := newRig(t)
	r.mustApply(server)
	generation := r.live(deploymentGVR, "web").GetGeneration()
	r.kubectl("kubectl-rollout", deploymentGVR, "web",
		`{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-21T00:00:00Z"}}}}}`)
	// The rollout shows that the watch has seen the change.
	r.awaitRecord("web", func(*watch.Record) bool {
		live := r.live(deploymentGVR, "web")
		observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
		return observed > generation
	})
	if drifted := r.drifted(); len(drifted) > 0 {
		t.Errorf("drifted: %v, want the restart left alone", drifted)
	}
}

func TestSuspendOfAQueuedObject(t *testing.T) {
	const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS, labels: {kueue.x-k8s.io/queue-name: gpus}}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, containers: [{name: train, image: "registry.example/train:1"}]}}`
	for name, tc := range map[string]struct {
		manifest string
		drifts   bool
	}{
		"queued":     {job, false},
		"not queued": {strings.Replace(job, "kueue.x-k8s.io/queue-name", "another-label", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustApply(tc.manifest)
			r.kubectl("kueue", jobGVR, "train", `{"spec": {"suspend": false}}`)
			if tc.drifts {
				r.eventually("the change is drift", func() bool { return len(r.drifted()) == 1 })
				return
			}
			r.eventually("the Job has run", func() bool { return len(r.engine.Finished(r.set)) == 1 || r.jobDone("train") })
			if drifted := r.drifted(); len(drifted) > 0 {
				t.Errorf("drifted: %v, want the queue's decision left alone", drifted)
			}
		})
	}
}

func (r *rig) jobDone(name string) bool {
	succeeded, _, _ := unstructured.NestedInt64(r.live(jobGVR, name).Object, "status", "succeeded")
	return succeeded > 0
}

func TestDriftOfASecretIsBuiltAnew(t *testing.T) {
	r := newRig(t)
	gvr := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	r.mustApply("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: $NS}\nstringData: {password: hunter2}")
	r.kubectl("somebody", gvr, "s", `{"data": {"password": "eA=="}}`)
	if drift := r.correct(); !drift.Stale || len(drift.Corrected) > 0 {
		t.Errorf("%+v, want that the Secret has to be built anew: it is not kept", drift)
	}
}

func TestFinishedJobIsNotCreatedAgain(t *testing.T) {
	const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS}
spec:
  ttlSecondsAfterFinished: 1
  template: {spec: {restartPolicy: Never, containers: [{name: train, image: "registry.example/train:1"}]}}`
	r := newRig(t)
	r.mustApply(job)
	var finished []Finished
	r.eventually("the Job is seen finished", func() bool {
		finished = r.engine.Finished(r.set)
		return len(finished) == 1
	})
	completed := func(o *Options) {
		o.Completed = func(ref inventory.Ref, digest string) bool {
			return ref == finished[0].Ref && digest == finished[0].Digest
		}
	}
	r.eventually("its time to live is over", func() bool { return r.live(jobGVR, "train") == nil })
	if drift := r.correct(completed); len(drift.Corrected) > 0 {
		t.Errorf("corrected %v, want the Job not run again", drift.Corrected)
	}
	r.start()
	if got := r.mustApply(job, completed)["Job/train"]; got != Skipped {
		t.Errorf("after a restart: %s, want skipped", got)
	}
	if got := r.mustApply(strings.Replace(job, "train:1", "train:2", 1), completed)["Job/train"]; got != Created {
		t.Errorf("after a change: %s, want created", got)
	}
}

func (r *rig) ref(kind, name string) inventory.Ref {
	group := map[string]string{"Deployment": "apps", "Job": "batch"}[kind]
	return inventory.Ref{Namespace: r.owner.Namespace, Name: name, Group: group, Kind: kind}
}

// awaitRecord waits until the watch knows the Deployment as wanted.
func (r *rig) awaitRecord(name string, wanted func(*watch.Record) bool) {
	r.Helper()
	gvk := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	r.eventually("the watch sees the Deployment as wanted", func() bool {
		record := r.engine.pool.Get(gvk, types.NamespacedName{Namespace: r.owner.Namespace, Name: name})
		return record != nil && wanted(record)
	})
}
