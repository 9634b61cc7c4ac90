// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// inspect waits for drift and looks at it.
func (r *rig) inspect() []Difference {
	r.Helper()
	r.eventually("drift is seen", func() bool { return len(r.drifted()) > 0 })
	found, err := r.engine.Inspect(r.Context(), r.set, r.drifted(), Options{Client: r.client})
	r.must(err)
	return found
}

func TestInspectNamesFieldsAndWritesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		by, change string
		want       []Difference
	}{
		"changed":           {"operator", `{"data": {"greeting": "changed"}}`, []Difference{{Action: Configured, Paths: []string{"data.greeting"}}}},
		"removed":           {"operator", `{"data": {"greeting": null}}`, []Difference{{Action: Configured, Paths: []string{"data.greeting"}}}},
		"added by kubectl":  {"kubectl-edit", `{"data": {"extra": "x"}}`, []Difference{{Action: Configured, Paths: []string{"data.extra"}}}},
		"label":             {"operator", `{"metadata": {"annotations": {"note": "theirs"}}}`, []Difference{{Action: Configured, Paths: []string{"metadata.annotations.note"}}}},
		"several":           {"kubectl-edit", `{"data": {"greeting": "x", "other": "y", "extra": "z"}}`, []Difference{{Action: Configured, Paths: []string{"data.extra", "data.greeting", "data.other"}}}},
		"no owner any more": {"operator", `{"metadata": {"labels": {"test.weir.dev/name": null}}}`, []Difference{{Action: Configured, Paths: []string{"metadata.labels[test.weir.dev/name]"}}}},
		"gone":              {"kubectl", "", []Difference{{Action: Created}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustApply(config)
			r.kubectl(tc.by, configMapGVR, "web", tc.change)
			for i := range tc.want {
				tc.want[i].Ref = r.ref("ConfigMap", "web")
			}
			r.eventually("drift is seen", func() bool { return len(r.drifted()) > 0 })
			r.sent()
			found := r.inspect()
			for i := range found {
				for j, path := range found[i].Paths {
					found[i].Paths[j] = strings.NewReplacer(`["`, "[", `"]`, "]").Replace(path)
				}
			}
			if diff := cmp.Diff(tc.want, found); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			for _, request := range r.sent() {
				if !strings.HasPrefix(request, "GET") && !strings.HasSuffix(request, "dry-run") {
					t.Errorf("sent %q, want nothing written", request)
				}
			}
			r.inspect()
			if sent := r.sent(); len(sent) > 0 {
				t.Errorf("the second look sent %v, want nothing", sent)
			}
		})
	}
}

func TestInspectOfASecret(t *testing.T) {
	r := newRig(t)
	gvr := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	r.mustApply("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: $NS}\nstringData: {password: hunter2, user: me}")
	r.kubectl("kubectl-edit", gvr, "s", `{"data": {"password": "eA==", "more": "eQ=="}}`)
	want := []Difference{{Ref: r.ref("Secret", "s"), Action: Configured, Paths: []string{"data.more", "data.password"}}}
	if diff := cmp.Diff(want, r.inspect()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestInspectOfWhatCannotBePutBack(t *testing.T) {
	const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: $NS, labels: {app: web}}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}`
	gvr := schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	r := newRig(t)
	r.mustApply(claim)
	r.kubectl("kubectl", gvr, "data", "")
	r.eventually("the claim is gone", func() bool { return r.live(gvr, "data") == nil })
	r.kubectl("somebody", gvr, "", strings.NewReplacer("fast", "slow", "app: web", "test.weir.dev/name: owner, test.weir.dev/namespace: $NS").Replace(claim))
	r.eventually("the watch sees the other claim", func() bool {
		record := r.engine.pool.Get(schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}, keyOf(r.ref("PersistentVolumeClaim", "data")))
		return record != nil && record.UID == r.live(gvr, "data").GetUID()
	})
	want := []Difference{{Ref: r.ref("PersistentVolumeClaim", "data"), Action: Recreated}}
	if diff := cmp.Diff(want, r.inspect()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// A value that somebody sets to what it is takes the field from us, and makes
// no difference to anybody.
func TestInspectLooksAtValues(t *testing.T) {
	for _, by := range []string{"operator", "kubectl-edit"} {
		t.Run(by, func(t *testing.T) {
			r := newRig(t)
			r.mustApply(config)
			r.kubectl(by, configMapGVR, "web", `{"data": {"greeting": "other"}}`)
			r.eventually("drift is seen", func() bool { return len(r.drifted()) > 0 })
			r.kubectl(by, configMapGVR, "web", `{"data": {"greeting": "hello"}}`)
			r.eventually("the values are those of Git", func() bool { return len(r.inspect()) == 0 })
		})
	}
}

func TestHeldApplyWritesNothing(t *testing.T) {
	r := newRig(t)
	two := config + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: gone, namespace: $NS}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: same, namespace: $NS}"
	r.mustApply(two)
	r.kubectl("operator", configMapGVR, "web", `{"data": {"greeting": "changed"}}`)
	r.kubectl("kubectl", configMapGVR, "gone", "")
	r.start()
	r.sent()
	desired := r.desired(two)
	members := inventory.Inventory{}
	for _, d := range desired {
		members[d.Ref] = d.GVK.Version
	}
	r.must(r.engine.Watch(r.Context(), r.set, members, nil))
	changes, err := r.engine.Apply(r.Context(), r.set, desired, Options{Client: r.client, StageTimeout: deadline, Hold: true})
	r.must(err)
	for _, change := range changes {
		if change.Action != Unchanged {
			t.Errorf("%s, want nothing changed", change)
		}
	}
	for _, request := range r.sent() {
		if !strings.HasPrefix(request, "GET") && !strings.HasSuffix(request, "dry-run") {
			t.Errorf("sent %q, want nothing written", request)
		}
	}
	want := []Difference{{Ref: r.ref("ConfigMap", "gone"), Action: Created}, {Ref: r.ref("ConfigMap", "web"), Action: Configured, Paths: []string{"data.greeting"}}}
	if diff := cmp.Diff(want, r.inspect()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	// What nobody has touched is known, and what has drifted can be put back.
	if drift := r.correct(); len(drift.Corrected) != 2 {
		t.Errorf("%+v, want both put back", drift)
	}
	r.settle()
}
