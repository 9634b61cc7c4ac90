// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/pkg/exemption"
)

var leaveGreeting = exemption.Rule{Paths: []string{"/data/greeting"}, Target: exemption.Target{Kind: "ConfigMap", Name: "web"}}

// seen waits until the watch knows the ConfigMap as it is now.
func (r *rig) seen(name string) {
	r.Helper()
	gvk, key := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, types.NamespacedName{Namespace: r.owner.Namespace, Name: name}
	for _, value := range []string{"disabled", "no"} {
		r.kubectl("marker", configMapGVR, name, `{"metadata": {"annotations": {"test.weir.dev/reconcile": "`+value+`"}}}`)
		r.eventually("the watch sees the object as it is", func() bool {
			record := r.engine.pool.Get(gvk, key)
			return record != nil && record.Left == (value == "disabled")
		})
	}
}

func (r *rig) data(name string) map[string]any {
	r.Helper()
	data, _, err := unstructured.NestedMap(r.live(configMapGVR, name).Object, "data")
	r.must(err)
	return data
}

// applyAs is kubectl apply --server-side, of another tool.
func (r *rig) applyAs(by string, gvr schema.GroupVersionResource, name, body string) {
	r.Helper()
	dyn, err := dynamic.NewForConfig(cluster.Config())
	r.must(err)
	data, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(body, "$NS", r.owner.Namespace)))
	r.must(err)
	force := true
	_, err = dyn.Resource(gvr).Namespace(r.owner.Namespace).Patch(r.Context(), name, types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: by, Force: &force})
	r.must(err)
}

func TestExemptFieldCostsNothing(t *testing.T) {
	for by, change := range map[string]func(r *rig){
		"an update":  func(r *rig) { r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": "theirs"}}`) },
		"kubectl":    func(r *rig) { r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"greeting": "theirs"}}`) },
		"a deletion": func(r *rig) { r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": null}}`) },
		"an apply": func(r *rig) {
			r.applyAs("operator", configMapGVR, "web", `{apiVersion: v1, kind: ConfigMap, metadata: {name: web, namespace: $NS}, data: {greeting: theirs}}`)
		},
	} {
		t.Run(by, func(t *testing.T) {
			r := newRig(t)
			r.exempt(leaveGreeting)
			if got := r.mustApply(config)["ConfigMap/web"]; got != Created {
				t.Errorf("first apply: %s, want created", got)
			}
			if got := r.data("web")["greeting"]; got != "hello" {
				t.Errorf("greeting = %v, want what Git has for a new object", got)
			}
			change(r)
			want := r.data("web")
			r.seen("web")
			version := r.live(configMapGVR, "web").GetResourceVersion()
			r.sent()
			if drifted := r.drifted(); len(drifted) > 0 {
				t.Errorf("drifted: %v, want none", drifted)
			}
			if got := r.mustApply(config)["ConfigMap/web"]; got != Unchanged {
				t.Errorf("second apply: %s, want unchanged", got)
			}
			if sent := r.sent(); len(sent) > 0 {
				t.Errorf("sent %v, want nothing", sent)
			}
			r.start()
			r.exempt(leaveGreeting)
			if got := r.mustApply(config)["ConfigMap/web"]; got != Unchanged {
				t.Errorf("after a restart: %s, want unchanged", got)
			}
			if live := r.live(configMapGVR, "web"); live.GetResourceVersion() != version {
				t.Errorf("written after a restart: %v", live.Object["data"])
			}
			if got := r.mustApply(strings.Replace(config, "other: x", "other: z", 1))["ConfigMap/web"]; got != Configured {
				t.Errorf("apply of another field: %s, want configured", got)
			}
			want["other"] = "z"
			if diff := cmp.Diff(want, r.data("web")); diff != "" {
				t.Errorf("data after that (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDriftBesideAnExemptField(t *testing.T) {
	r := newRig(t)
	r.exempt(leaveGreeting)
	r.mustApply(config)
	r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"greeting": "theirs", "other": "theirs", "more": "theirs"}}`)
	drift := r.correct()
	want := []Correction{{Ref: r.ref("ConfigMap", "web"), Contenders: []Contender{{Path: ".data.other", Manager: "kubectl-edit"}}}}
	if diff := cmp.Diff(want, drift.Corrected); diff != "" {
		t.Errorf("corrected (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"greeting": "theirs", "other": "x"}, r.data("web")); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	r.settle()
}

// Who fights over a field is found although an exempt one changes hands.
func TestContestBesideAnExemptField(t *testing.T) {
	r := newRig(t)
	r.exempt(leaveGreeting)
	r.mustApply(config)
	for i := range contestReverts {
		r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": "`+strconv.Itoa(i)+`", "other": "`+strconv.Itoa(i)+`"}}`)
		if drift := r.correct(); len(drift.Corrected) != 1 {
			t.Fatalf("change %d: %+v, want it put back", i, drift)
		}
		r.settle()
	}
	r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": "last", "other": "last"}}`)
	want := []Contested{{r.ref("ConfigMap", "web"), Contender{Path: ".data.other", Manager: "operator"}}}
	if diff := cmp.Diff(want, r.correct().Contested); diff != "" {
		t.Errorf("contested (-want +got):\n%s", diff)
	}
}

func TestRulesChangeWithoutARevision(t *testing.T) {
	r := newRig(t)
	r.mustApply(config + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside, namespace: $NS}")
	both := config + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside, namespace: $NS}"

	r.exempt(leaveGreeting)
	r.sent()
	if got := r.mustApply(both); got["ConfigMap/web"] != Unchanged || got["ConfigMap/beside"] != Unchanged {
		t.Errorf("under new rules: %v, want both unchanged", got)
	}
	for _, request := range r.sent() {
		if strings.Contains(request, "beside") || strings.HasPrefix(request, "PATCH") && !strings.HasSuffix(request, "dry-run") {
			t.Errorf("sent %q, want that only what the rule names is looked at, and nothing written", request)
		}
	}
	r.mustApply(both)
	if sent := r.sent(); len(sent) > 0 {
		t.Errorf("sent %v for the same rules, want nothing", sent)
	}
	r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": "theirs"}}`)
	r.seen("web")
	if drifted := r.drifted(); len(drifted) > 0 {
		t.Errorf("drifted: %v, want the rule to hold", drifted)
	}

	r.exempt()
	if got := r.mustApply(both); got["ConfigMap/web"] != Configured || got["ConfigMap/beside"] != Unchanged {
		t.Errorf("without rules: %v, want the field of Git applied", got)
	}
	if got := r.data("web")["greeting"]; got != "hello" {
		t.Errorf("greeting = %v, want what Git has", got)
	}
	r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": "theirs"}}`)
	if drift := r.correct(); len(drift.Corrected) != 1 {
		t.Errorf("without rules: %+v, want it put back", drift)
	}
}

// A rule that names a label counts for the object as it is to be.
func TestRuleByLabel(t *testing.T) {
	r := newRig(t)
	r.exempt(exemption.Rule{Paths: []string{"/data/greeting"}, Target: exemption.Target{LabelSelector: "theirs"}})
	r.mustApply(config)
	r.kubectl("operator", configMapGVR, "web", `{"metadata": {"labels": {"theirs": "yes"}}, "data": {"greeting": "theirs"}}`)
	r.seen("web")
	// The rule begins to hold, so that what was ours has to be found out anew.
	if drift := r.correct(); len(drift.Corrected) > 0 || r.data("web")["greeting"] != "theirs" {
		t.Errorf("%+v, want the rule to hold for a label of others", drift)
	}
	r.settle()
	r.kubectl("operator", configMapGVR, "web", `{"metadata": {"labels": {"theirs": null}}}`)
	if drift := r.correct(); len(drift.Corrected) != 1 || r.data("web")["greeting"] != "hello" {
		t.Errorf("without the label: %+v, want the field put back", drift)
	}
}

// A rule for all labels must not cost us the labels by which we find the
// object again.
func TestOwnerLabelsAreNotLeftToOthers(t *testing.T) {
	r := newRig(t)
	r.exempt(exemption.Rule{Paths: []string{"/metadata/labels"}})
	r.kubectl("operator", configMapGVR, "", "{apiVersion: v1, kind: ConfigMap, metadata: {name: web, namespace: $NS, labels: {theirs: 'yes'}}}")
	r.mustApply(config)
	want := map[string]string{"theirs": "yes", testLabels.Name: "owner", testLabels.Namespace: r.owner.Namespace}
	if diff := cmp.Diff(want, r.live(configMapGVR, "web").GetLabels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func (r *rig) autoscale() {
	r.Helper()
	r.kubectl("kubectl-create", schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, "", `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: $NS}
spec:
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}`)
	r.eventually("the autoscaler is seen", func() bool { return r.engine.scaled(r.ref("Deployment", "web")) })
}

func (r *rig) replicas() int64 {
	r.Helper()
	n, _, err := unstructured.NestedInt64(r.live(deploymentGVR, "web").Object, "spec", "replicas")
	r.must(err)
	return n
}

func TestApplyKeepsTheReplicasOfAnAutoscaler(t *testing.T) {
	scale := func(r *rig, n int) {
		r.kubectl("horizontal-pod-autoscaler", deploymentGVR, "web", `{"spec": {"replicas": `+strconv.Itoa(n)+`}}`)
	}
	changed := strings.Replace(server, "replicas: 1", "replicas: 1\n  minReadySeconds: 1", 1)
	for name, then := range map[string]func(r *rig){
		"another field":  func(r *rig) { r.mustApply(changed) },
		"Git scales":     func(r *rig) { r.mustApply(strings.Replace(server, "replicas: 1", "replicas: 3", 1)) },
		"Git lets go":    func(r *rig) { r.mustApply(strings.Replace(server, "replicas: 1", "minReadySeconds: 1", 1)) },
		"after restart":  func(r *rig) { r.start(); r.mustApply(server) },
		"changed during": func(r *rig) { r.start(); r.mustApply(changed) },
		"drift": func(r *rig) {
			r.kubectl("kubectl-edit", deploymentGVR, "web", `{"spec": {"minReadySeconds": 7}}`)
			r.correct()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustApply(server)
			r.autoscale()
			scale(r, 7)
			then(r)
			if got := r.replicas(); got != 7 {
				t.Errorf("replicas = %d, want those of the autoscaler", got)
			}
		})
	}
}

// What only we have set would go with the manifest's line, and with it the
// replicas, in the moment in which an autoscaler takes over.
func TestReplicasLeaveGitWhenAnAutoscalerComes(t *testing.T) {
	r := newRig(t)
	r.mustApply(strings.Replace(server, "replicas: 1", "replicas: 4", 1))
	r.autoscale()
	r.mustApply(strings.Replace(server, "replicas: 1", "minReadySeconds: 1", 1))
	if got := r.replicas(); got != 4 {
		t.Errorf("replicas = %d, want what was there", got)
	}
}

// An autoscaler that scales between our look and our write must not be
// undone.
func TestReplicasThatChangeMeanwhile(t *testing.T) {
	r := newRig(t)
	r.mustApply(server)
	r.autoscale()
	raced := 0
	r.before = func(line string) {
		if strings.HasPrefix(line, "PATCH") && !strings.HasSuffix(line, "dry-run") && raced < 3 {
			raced++
			r.kubectl("horizontal-pod-autoscaler", deploymentGVR, "web", `{"spec": {"replicas": `+strconv.Itoa(5+raced)+`}}`)
		}
	}
	r.mustApply(strings.Replace(server, "replicas: 1", "replicas: 1\n  minReadySeconds: 1", 1))
	r.before = nil
	if got := r.replicas(); got != 8 || raced != 3 {
		t.Errorf("replicas = %d after %d races, want the last of the autoscaler", got, raced)
	}
}

func TestApplyKeepsTheSuspendOfAQueue(t *testing.T) {
	const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS, labels: {kueue.x-k8s.io/queue-name: gpus}}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, schedulingGates: [{name: test.weir.dev/hold}], containers: [{name: train, image: "registry.example/train:1"}]}}`
	r := newRig(t)
	r.mustApply(job)
	r.kubectl("kueue", jobGVR, "train", `{"spec": {"suspend": false}}`)
	if got := r.mustApply(strings.Replace(job, "name: train,", "name: train, annotations: {note: new},", 1))["Job/train"]; got != Configured {
		t.Errorf("%s, want configured", got)
	}
	if suspended, _, _ := unstructured.NestedBool(r.live(jobGVR, "train").Object, "spec", "suspend"); suspended {
		t.Error("an apply of an annotation has suspended a running Job")
	}
}
