// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
)

const directConfigMap = `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: ours}}`

func (r *rig) write(docs string) []*unstructured.Unstructured {
	r.Helper()
	var live []*unstructured.Unstructured
	for _, d := range r.desired(docs) {
		written, err := r.engine.Write(r.Context(), r.set, d, r.client)
		r.must(err)
		live = append(live, written)
	}
	return live
}

func TestWrite(t *testing.T) {
	r := newRig(t)
	r.kubectl("kubectl-create", configMapGVR, "", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {given: up}}`)
	r.sent()
	data, _, _ := unstructured.NestedStringMap(r.write(directConfigMap)[0].Object, "data")
	if diff := cmp.Diff(map[string]string{"key": "ours"}, data); diff != "" {
		t.Errorf("data of what was taken over (-want +got):\n%s", diff)
	}
	if got := len(r.sent()); got != 3 {
		t.Errorf("%d requests to take over, want 3", got)
	}
	r.write(directConfigMap)
	if got := r.sent(); len(got) != 1 || !strings.HasPrefix(got[0], "PATCH ") {
		t.Errorf("requests for what is ours: %q", got)
	}

	// What was written needs no dry-run, and drift of it is seen.
	inv := inventory.Inventory{{Namespace: r.owner.Namespace, Name: "a", Kind: "ConfigMap"}: "v1"}
	r.must(r.engine.Watch(t.Context(), r.set, inv, nil))
	r.settle()
	changes, err := r.engine.Apply(t.Context(), r.set, r.desired(directConfigMap), Options{Client: r.client, StageTimeout: deadline})
	r.must(err)
	if sent := r.sent(); len(changes) != 1 || changes[0].Action != Unchanged || len(sent) > 0 {
		t.Errorf("an apply of what was written: %v with the requests %q", changes, sent)
	}
	r.kubectl("kubectl-edit", configMapGVR, "a", `{data: {key: theirs}}`)
	if drift := r.correct(); len(drift.Corrected) != 1 {
		t.Errorf("corrected %v", drift)
	}
}

func TestAwaitAndListen(t *testing.T) {
	r := newRig(t)
	r.write(directConfigMap)
	ref := inventory.Ref{Namespace: r.owner.Namespace, Name: "a", Kind: "ConfigMap"}
	r.must(r.engine.Watch(t.Context(), r.set, inventory.Inventory{ref: "v1"}, nil))
	judged, lagging, err := r.engine.Await(t.Context(), r.set, r.client, ref)
	r.must(err)
	if lagging != 0 || judged.Health.Status != health.Current {
		t.Errorf("%v, lagging %s", judged, lagging)
	}
	if _, _, err := r.engine.Await(t.Context(), r.set, r.client, inventory.Ref{Name: "other"}); err == nil {
		t.Error("no error for what is no member")
	}

	signals, stop := r.engine.Listen(r.owner)
	for len(r.woken) > 0 {
		<-r.woken
	}
	r.kubectl("kubectl-edit", configMapGVR, "a", "")
	select {
	case <-signals:
	case <-time.After(deadline):
		t.Fatal("nobody told of the deletion")
	}
	if len(r.woken) > 0 {
		t.Error("the owner was woken although somebody listened")
	}
	stop()
	r.eventually("it is found to be gone", func() bool {
		judged, _, err := r.engine.Await(t.Context(), r.set, r.client, ref)
		r.must(err)
		return judged.Health.Status == health.NotFound
	})
	r.set.Drop(ref)
	if r.set.Member(ref) {
		t.Error("it is still a member")
	}
	r.write(directConfigMap)
	r.kubectl("kubectl-edit", configMapGVR, "a", `{data: {key: theirs}}`)
	r.eventually("the owner is woken again", func() bool { return len(r.woken) > 0 })
}

func TestPrepareVerbatim(t *testing.T) {
	r := newRig(t)
	for name, tc := range map[string]struct{ in, want, err string }{
		"unknown fields stay": {
			in:   `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, creationTimestamp: null}, dota: {key: one}}`,
			want: `{"apiVersion":"v1","dota":{"key":"one"},"kind":"ConfigMap","metadata":{"labels":{"test.weir.dev/name":"owner","test.weir.dev/namespace":"$NS"},"name":"a"}}`,
		},
		"texts of a Secret become data": {
			in:   `{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: b25l, b: b25l}, stringData: {b: two}}`,
			want: `{"apiVersion":"v1","data":{"a":"b25l","b":"dHdv"},"kind":"Secret","metadata":{"labels":{"test.weir.dev/name":"owner","test.weir.dev/namespace":"$NS"},"name":"s"}}`,
		},
		"no data": {
			in:   `{apiVersion: v1, kind: Secret, metadata: {name: s}, data: null, stringData: {a: ""}}`,
			want: `{"apiVersion":"v1","data":{"a":""},"kind":"Secret","metadata":{"labels":{"test.weir.dev/name":"owner","test.weir.dev/namespace":"$NS"},"name":"s"}}`,
		},
		"no text": {
			in:  `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: 4711}}`,
			err: "Secret/s is not a valid object: stringData.a is no string",
		},
	} {
		t.Run(name, func(t *testing.T) {
			desired, err := PrepareVerbatim(r.objects(tc.in), r.owner, testLabels, testKeys)
			if err != nil || tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			want := strings.ReplaceAll(tc.want, "$NS", r.owner.Namespace)
			if diff := cmp.Diff(want, strings.TrimSpace(string(desired[0].data))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
