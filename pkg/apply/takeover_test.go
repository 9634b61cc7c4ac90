// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

const (
	theirs = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: $NS, labels: {theirs: label}}\ndata: {greeting: hi, extra: by hand}"
	mine   = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: $NS}\ndata: {greeting: hello}"
)

// rename makes another manager of all claims of an object, as if it had written
// them.
func (r *rig) rename(name string, to metav1.ManagedFieldsEntry) {
	r.Helper()
	entries := r.live(configMapGVR, name).GetManagedFields()
	entries[0].Manager, entries[0].Operation = to.Manager, to.Operation
	patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/metadata/managedFields", "value": entries[:1]}})
	r.must(err)
	dyn, err := dynamic.NewForConfig(cluster.Config())
	r.must(err)
	_, err = dyn.Resource(configMapGVR).Namespace(r.owner.Namespace).Patch(r.Context(), name, types.JSONPatchType, patch, metav1.PatchOptions{})
	r.must(err)
}

// Every claim that Flux takes over becomes ours, by the
// requests that make it; others stay.
func TestTakeOver(t *testing.T) {
	create := func(by string) func(r *rig) {
		return func(r *rig) { r.kubectl(by, configMapGVR, "", theirs) }
	}
	for name, tc := range map[string]struct {
		before func(r *rig)
		stays  bool
	}{
		"kubectl apply": {before: func(r *rig) {
			r.kubectl("kubectl-client-side-apply", configMapGVR, "", strings.Replace(theirs, "labels:", `annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}, labels:`, 1))
			r.kubectl("kubectl-client-side-apply", configMapGVR, "web", `{"data": {"greeting": "hey"}}`)
		}},
		"kubectl create": {before: create("kubectl-create")},
		"kubectl edit": {before: func(r *rig) {
			create("kubectl-create")(r)
			r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"more": "x"}}`)
		}},
		"kubectl apply --server-side": {before: func(r *rig) { r.applyAs("kubectl", configMapGVR, "web", theirs) }},
		"before-first-apply": {before: func(r *rig) {
			create("x")(r)
			r.rename("web", metav1.ManagedFieldsEntry{Manager: "before-first-apply", Operation: metav1.ManagedFieldsOperationUpdate})
		}},
		"ourselves, by an update":             {before: create(manager)},
		"a manager to override, by an apply":  {before: func(r *rig) { r.applyAs("legacy-applier", configMapGVR, "web", theirs) }},
		"a manager to override, by an update": {before: create("legacy-applier")},
		"before-first-apply, by an apply":     {before: func(r *rig) { r.applyAs("before-first-apply", configMapGVR, "web", theirs) }, stays: true},
		"flux-client-side-apply":              {before: create("flux-client-side-apply"), stays: true},
		"another controller":                  {before: create("operator"), stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.engine.config.Watch.Managers.TakeOver = TakeOver(manager, "legacy-applier")
			tc.before(r)
			if got := r.mustApply(mine)["ConfigMap/web"]; got != Configured {
				t.Errorf("%s, want configured", got)
			}
			live := r.live(configMapGVR, "web")
			data, labels, claimants := map[string]any{"greeting": "hello"}, map[string]string{testLabels.Name: "owner", testLabels.Namespace: r.owner.Namespace}, 1
			if tc.stays {
				data["extra"], labels["theirs"], claimants = "by hand", "label", 2
			}
			if diff := cmp.Diff(data, live.Object["data"]); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(labels, live.GetLabels()); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if len(live.GetAnnotations()) > 0 {
				t.Errorf("annotations %v, want none left", live.GetAnnotations())
			}
			if got := live.GetManagedFields(); len(got) != claimants {
				t.Errorf("managers %v, want %d", got, claimants)
			}
		})
	}
}

func TestMarksOfEarlierToolsGo(t *testing.T) {
	r := newRig(t)
	r.kubectl("flux", configMapGVR, "", `
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  namespace: $NS
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: "{}"
    kustomize.toolkit.fluxcd.io/checksum: abc
    fluxcd.io/sync-checksum: abc
    kept: by others
  labels: {fluxcd.io/sync-gc-mark: sha256.abc, kept: by-others}
data: {greeting: hello}`)
	r.mustApply(mine)
	live := r.live(configMapGVR, "web")
	if diff := cmp.Diff(map[string]string{"kept": "by others"}, live.GetAnnotations()); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"kept": "by-others", testLabels.Name: "owner", testLabels.Namespace: r.owner.Namespace}, live.GetLabels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// TestMarks goes through every mark, as a label and as an annotation, on the
// object in Git and on the live one.
func TestMarks(t *testing.T) {
	taken, merged, left := map[string]any{"greeting": "hello"}, map[string]any{"greeting": "hello", "extra": "by hand"}, map[string]any{"greeting": "hi", "extra": "by hand"}
	for name, tc := range map[string]struct {
		key, value    string
		inGit, onLive map[string]any
		// pruned tells whether an object with the live mark is deleted.
		pruned bool
	}{
		"reconcile disabled": {key: testKeys.Reconcile, value: "Disabled", inGit: left, onLive: left},
		"reconcile enabled":  {key: testKeys.Reconcile, value: "enabled", inGit: taken, onLive: taken, pruned: true},
		"prune disabled":     {key: testKeys.Prune, value: "DISABLED", inGit: taken, onLive: taken},
		"ssa Override":       {key: testKeys.Policy, value: "override", inGit: taken, onLive: taken, pruned: true},
		"ssa Merge":          {key: testKeys.Policy, value: "merge", inGit: merged, onLive: merged, pruned: true},
		"ssa IfNotPresent":   {key: testKeys.Policy, value: "ifNotPresent", inGit: left, onLive: taken, pruned: true},
		"ssa Ignore":         {key: testKeys.Policy, value: "ignore", inGit: left, onLive: left},
		"ssa of no meaning":  {key: testKeys.Policy, value: "Whatever", inGit: taken, onLive: taken, pruned: true},
	} {
		for _, as := range []string{"labels", "annotations"} {
			mark := func(doc string) string {
				if as == "labels" && strings.Contains(doc, "labels: {") {
					return strings.Replace(doc, "labels: {", "labels: {"+tc.key+": "+tc.value+", ", 1)
				}
				return strings.Replace(doc, "namespace: $NS", "namespace: $NS, "+as+": {"+tc.key+": "+tc.value+"}", 1)
			}
			check := func(t *testing.T, r *rig, want map[string]any) {
				t.Helper()
				if diff := cmp.Diff(want, r.data("web")); diff != "" {
					t.Errorf("data (-want +got):\n%s", diff)
				}
			}
			t.Run(name+", in Git, "+as, func(t *testing.T) {
				r := newRig(t)
				r.kubectl("kubectl-create", configMapGVR, "", theirs)
				r.mustApply(mark(mine))
				check(t, r, tc.inGit)
			})
			t.Run(name+", live, "+as, func(t *testing.T) {
				r := newRig(t)
				// The mark is somebody's whom we do not take over from.
				r.kubectl("kubectl-create", configMapGVR, "", theirs)
				r.kubectl("somebody", configMapGVR, "web", `{"metadata": {"`+as+`": {"`+tc.key+`": "`+tc.value+`"}}}`)
				r.mustApply(mine)
				check(t, r, tc.onLive)
			})
			t.Run(name+", pruned, "+as, func(t *testing.T) {
				r := newRig(t)
				r.mustApply(mine)
				r.kubectl("somebody", configMapGVR, "web", `{"metadata": {"`+as+`": {"`+tc.key+`": "`+tc.value+`"}}}`)
				ref := r.ref("ConfigMap", "web")
				_, _, err := r.engine.Prune(t.Context(), inventory.Inventory{ref: "v1"}, PruneOptions{Client: r.client, Owner: r.owner})
				r.must(err)
				if gone := r.live(configMapGVR, "web") == nil; gone != tc.pruned {
					t.Errorf("deleted = %t, want %t", gone, tc.pruned)
				}
			})
		}
	}
}

// On a live object that merges, kubectl's claims are no drift; on one that is
// ignored, nothing is.
func TestMarksAndDrift(t *testing.T) {
	for value, quiet := range map[string]string{
		"Merge":  `{"data": {"extra": "by hand"}}`,
		"Ignore": `{"data": {"greeting": "theirs", "extra": "by hand"}}`,
	} {
		t.Run(value, func(t *testing.T) {
			r := newRig(t)
			r.mustApply(mine)
			r.kubectl("somebody", configMapGVR, "web", `{"metadata": {"annotations": {"test.weir.dev/ssa": "`+value+`"}}}`)
			r.kubectl("kubectl-edit", configMapGVR, "web", quiet)
			version := r.live(configMapGVR, "web").GetResourceVersion()
			r.eventually("the watch sees it", func() bool {
				record := r.engine.pool.Get(configMapGVR.GroupVersion().WithKind("ConfigMap"), keyOf(r.ref("ConfigMap", "web")))
				live := r.live(configMapGVR, "web")
				return record != nil && (record.Left || record.Merges) && live.GetResourceVersion() == version
			})
			if drifted := r.drifted(); len(drifted) > 0 {
				t.Errorf("drifted: %v, want none", drifted)
			}
			if _, ok := r.data("web")["extra"]; !ok {
				t.Error("what kubectl has set is gone")
			}
		})
	}
}

// What asks to be left alone is, without our labels, too.
func TestLeftAloneWithoutLabels(t *testing.T) {
	r := newRig(t)
	r.mustApply(mine)
	r.kubectl("somebody", configMapGVR, "web", `{"metadata": {"annotations": {"test.weir.dev/reconcile": "disabled"}, "labels": null}, "data": {"greeting": "theirs"}}`)
	if drift := r.correct(); len(drift.Corrected) > 0 || r.data("web")["greeting"] != "theirs" {
		t.Errorf("%+v, want it left alone", drift)
	}
}

func TestForceMarks(t *testing.T) {
	const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, containers: [{name: train, image: "registry.example/train:1"}]}}`
	next := strings.Replace(job, "train:1", "train:2", 1)
	for name, tc := range map[string]struct {
		inGit, live, value string
		want               bool
	}{
		"label in Git":       {inGit: "labels", value: "Enabled", want: true},
		"annotation in Git":  {inGit: "annotations", value: "enabled", want: true},
		"label, live":        {live: "labels", value: "ENABLED", want: true},
		"annotation, live":   {live: "annotations", value: "enabled", want: true},
		"disabled in Git":    {inGit: "annotations", value: "disabled"},
		"disabled, live":     {live: "annotations", value: "disabled"},
		"not marked anyhow ": {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustApply(job)
			uid := r.live(jobGVR, "train").GetUID()
			if tc.live != "" {
				r.kubectl("somebody", jobGVR, "train", `{"metadata": {"`+tc.live+`": {"test.weir.dev/force": "`+tc.value+`"}}}`)
			}
			doc := next
			if tc.inGit != "" {
				doc = strings.Replace(next, "namespace: $NS", "namespace: $NS, "+tc.inGit+": {test.weir.dev/force: "+tc.value+"}", 1)
			}
			_, err := r.apply(doc)
			if recreated := err == nil && r.live(jobGVR, "train").GetUID() != uid; recreated != tc.want {
				t.Errorf("recreated = %t (%v), want %t", recreated, err, tc.want)
			}
		})
	}
}

// A mark without a key, which an owner does not offer, is never looked up.
func TestKeysThatAreNotOffered(t *testing.T) {
	obj := newObject("v1", "ConfigMap", "a")
	obj.SetAnnotations(map[string]string{"": "disabled"})
	if watch.HasMark(obj, Keys{}.keep()...) || watch.HasMark(obj, Keys{}.force()...) {
		t.Error("an empty key was looked up")
	}
}
