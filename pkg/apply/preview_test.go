// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// plan watches and plans, as a reconciler does.
func (r *rig) plan(docs string) map[string]string {
	r.Helper()
	desired := r.desired(docs)
	inv := inventory.Inventory{}
	for _, d := range desired {
		inv[d.Ref] = d.GVK.Version
	}
	r.must(r.engine.Watch(r.Context(), r.set, inv, nil))
	differences, err := r.engine.Plan(r.Context(), r.set, desired, Options{Client: r.client, StageTimeout: deadline})
	r.must(err)
	found := map[string]string{}
	for _, d := range differences {
		found[d.Ref.Kind+"/"+d.Ref.Name] = strings.TrimSpace(string(d.Action) + " " + strings.Join(d.Paths, " "))
	}
	return found
}

const (
	planOne = `{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: $NS}, data: {a: x, b: x}}`
	planTwo = `{apiVersion: v1, kind: ConfigMap, metadata: {name: two, namespace: $NS}, data: {a: x}}`
)

// A plan writes nothing and asks a second time only about what has changed, on
// either side, or is not there.
func TestPlanAsksOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustApply(planOne + "\n---\n" + planTwo)
	r.start() // another process knows nothing of the apply
	r.sent()
	changed := strings.Replace(planOne, "b: x", "c: x", 1)
	docs := changed + "\n---\n" + planTwo + "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: three, namespace: $NS}}"
	want := map[string]string{"ConfigMap/one": "configured data.b data.c", "ConfigMap/two": "unchanged", "ConfigMap/three": "created"}
	if diff := cmp.Diff(want, r.plan(docs)); diff != "" {
		t.Errorf("first plan (-want +got):\n%s", diff)
	}
	if sent := r.sent(); len(sent) != 4 || strings.Count(strings.Join(sent, "\n"), "dry-run") != 3 {
		t.Errorf("sent %q, want three dry-runs and one look at what changes", sent)
	}
	if diff := cmp.Diff(want, r.plan(docs)); diff != "" {
		t.Errorf("second plan (-want +got):\n%s", diff)
	}
	if sent := r.sent(); len(sent) != 1 || !strings.HasSuffix(sent[0], "dry-run") {
		t.Errorf("sent %q, want one dry-run of what does not exist", sent)
	}

	r.kubectl("kubectl-edit", configMapGVR, "two", `{data: {a: by hand}}`)
	want["ConfigMap/two"] = "configured data.a"
	r.eventually("the plan shows what was changed by hand", func() bool { return cmp.Equal(want, r.plan(docs)) })
	if got := r.live(configMapGVR, "two").Object["data"]; !cmp.Equal(got, any(map[string]any{"a": "by hand"})) {
		t.Errorf("data %v, want what was set by hand", got)
	}
	if r.live(configMapGVR, "three") != nil {
		t.Error("three was created")
	}
}

// What kubectl has set and we do not goes with the takeover, which no dry-run
// shows.
func TestPlanShowsWhatATakeoverDrops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.kubectl("kubectl-client-side-apply", configMapGVR, "", `{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: $NS, annotations: {kubectl.kubernetes.io/last-applied-configuration: x, mine: x}}, data: {a: x, z: x}}`)
	r.kubectl("somebody", configMapGVR, "one", `{data: {theirs: x}}`)
	docs := strings.Replace(planOne, "metadata: {", "metadata: {annotations: {mine: x}, ", 1)
	want := map[string]string{"ConfigMap/one": strings.Join([]string{
		"configured", "data.b", "data.z", `metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]`,
		`metadata.labels["test.weir.dev/name"]`, `metadata.labels["test.weir.dev/namespace"]`,
	}, " ")}
	if diff := cmp.Diff(want, r.plan(docs)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	before := r.live(configMapGVR, "one")
	r.mustApply(docs)
	after := r.live(configMapGVR, "one")
	if diff := cmp.Diff(map[string]any{"a": "x", "b": "x", "theirs": "x"}, after.Object["data"]); diff != "" {
		t.Errorf("the apply did something else than the plan (-want +got):\n%s\nbefore: %v", diff, before.Object["data"])
	}
}

// Doomed and Prune agree on what is deleted.
func TestDoomed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustApply(planOne + "\n---\n" + planTwo + "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: $NS, annotations: {test.weir.dev/prune: disabled}}}")
	r.kubectl("somebody", configMapGVR, "two", `{metadata: {labels: {test.weir.dev/name: null}}}`)
	stale := inventory.Inventory{}
	for _, name := range []string{"one", "two", "kept", "never-there"} {
		stale[inventory.Ref{Namespace: r.owner.Namespace, Name: name, Kind: "ConfigMap"}] = "v1"
	}
	opts := PruneOptions{Client: r.client, Owner: r.owner}
	doomed, err := r.engine.Doomed(t.Context(), stale, opts)
	r.must(err)
	live := r.live(configMapGVR, "one")
	if len(doomed) != 1 || doomed[0].Ref.Name != "one" || doomed[0].UID != live.GetUID() {
		t.Errorf("doomed %+v, want one alone", doomed)
	}
	deleted, left, err := r.engine.Prune(t.Context(), stale, opts)
	r.must(err)
	if len(deleted) != 1 || deleted[0] != doomed[0].Ref || len(left) > 0 {
		t.Errorf("deleted %v, left %v", deleted, left)
	}
}

// What only the same plan would make possible cannot be asked about: it would be
// created.
func TestPlanCountsWhatCannotBeAskedAsCreated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	group := r.owner.Namespace + ".weir.dev"
	docs := strings.ReplaceAll(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: plans.$GROUP}
spec:
  group: $GROUP
  scope: Namespaced
  names: {kind: Blueprint, plural: plans, singular: plan, listKind: PlanList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: $NS-new}
---
apiVersion: $GROUP/v1
kind: Blueprint
metadata: {name: one, namespace: $NS-new}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: two, namespace: $NS-new}}`, "$GROUP", group)
	want := map[string]string{
		"CustomResourceDefinition/plans." + group: "created", "Namespace/" + r.owner.Namespace + "-new": "created",
		"Blueprint/one": "created", "ConfigMap/two": "created",
	}
	if diff := cmp.Diff(want, r.plan(docs)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if obj := r.live(namespaceGVR, r.owner.Namespace+"-new"); obj != nil {
		t.Error("the namespace was created")
	}
}

// What a watch has not told yet is no change.
func TestPlanGoesByTheLiveObject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustApply(planOne)
	live := r.live(configMapGVR, "one")
	desired := r.desired(planOne)
	p := r.engine.newPlanner(r.set, desired, &Options{Client: r.client})
	p.explains = true
	s := &step{Desired: desired[0], action: Configured, owned: r.engine.pool.Record(live).Owned}
	r.must(p.explain(r.Context(), s, nil, live))
	if s.action != Unchanged {
		t.Errorf("%s, although the object is as the dry-run left it", s.action)
	}
	edited := live.DeepCopy()
	r.must(unstructured.SetNestedField(edited.Object, "y", "data", "a"))
	s = &step{Desired: desired[0], action: Configured, owned: r.engine.pool.Record(edited).Owned}
	r.must(p.explain(r.Context(), s, nil, edited))
	if s.action != Configured || len(s.paths) != 1 || s.paths[0] != "data.a" {
		t.Errorf("%s %v, want a change of data.a", s.action, s.paths)
	}
}
