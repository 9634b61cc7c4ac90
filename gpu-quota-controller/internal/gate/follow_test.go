// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
	ctrlfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// swap is a request to put new in the place of old.
func swap() wire.Request {
	return wire.Request{Kind: "Kustomization", Namespace: "flux", Name: "app", UID: "u", Revision: "r", Change: wire.Change{Objects: []wire.Object{
		object("a", "old", pods(4), pods(0)), object("a", "new", pods(0), pods(4)),
	}}}
}

func TestFollow(t *testing.T) {
	granted := func(old, fresh int64) []ledger.GrantObject {
		return []ledger.GrantObject{
			{Key: "apps/Deployment/a/old", Quota: "a", Held: gpus(old)},
			{Key: "apps/Deployment/a/new", Quota: "a", Envelope: gpus(4), Held: gpus(fresh)},
		}
	}
	for name, tc := range map[string]struct {
		shrinkFirst bool
		grant       []ledger.GrantObject
		after       time.Duration
		stays       bool
		want        bool // ShrinkFirst of the verdict then
	}{
		"what shrinks is still there": {true, granted(2, 0), 0, true, true},
		"what shrinks is gone":        {true, granted(0, 0), 0, true, false},
		"its part has landed":         {true, granted(0, 0)[1:], 0, true, false},
		"nothing came yet":            {false, granted(0, 0), time.Hour, true, false},
		"all came just now":           {false, nil, time.Second, true, false},
		"all came some time ago":      {false, nil, 2 * time.Minute, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBooks()
			clock := clocktesting.NewFakeClock(time.Now())
			e, client := posted(t, swap(), wire.Verdict{Answer: wire.Granted, ShrinkFirst: tc.shrinkFirst})
			s.Client, s.Namespace, s.Clock, s.memory, s.Metrics = client.CoreV1(), "weir", clock, memory{}, NewMetrics()
			if tc.grant != nil {
				b.records["a"].Grants = []ledger.Grant{{Owner: "u", Hash: e.hash, Objects: tc.grant}}
			}
			for range 2 {
				if err := s.follow(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				clock.Step(tc.after)
			}
			cm, err := client.CoreV1().ConfigMaps("weir").Get(t.Context(), e.name, metav1.GetOptions{})
			if !tc.stays {
				if !apierrors.IsNotFound(err) {
					t.Errorf("the request is still there (error %v)", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v := wire.Parse(cm.Data).Verdict; v.ShrinkFirst != tc.want || v.Answer != wire.Granted || v.Hash != e.hash {
				t.Errorf("the verdict is %+v, want shrinkFirst %t", v, tc.want)
			}
		})
	}
}

// posted is a request in an API server.
func posted(t *testing.T, r wire.Request, v wire.Verdict) (*entry, *fake.Clientset) {
	t.Helper()
	data, hash, err := wire.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	v.Hash = hash
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "weir", Name: wire.Name(r.UID)},
		Data:       map[string]string{"request": string(data), "hash": hash, wire.VerdictKey: string(text)},
	}
	e := read(cm)
	if e == nil || e.fault != nil {
		t.Fatalf("read %+v", e)
	}
	return e, fake.NewClientset(cm)
}

func TestReadRefusesTheNameOfAnother(t *testing.T) {
	e, _ := posted(t, swap(), wire.Verdict{})
	data, hash, err := wire.Encode(swap())
	if err != nil {
		t.Fatal(err)
	}
	other := read(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "gpu-request-other"}, Data: map[string]string{"request": string(data), "hash": hash}})
	if e.fault != nil || other.fault == nil {
		t.Errorf("faults %v and %v, want one of the second", e.fault, other.fault)
	}
	if none := read(&corev1.ConfigMap{}); none != nil {
		t.Errorf("a ConfigMap without a request is %+v", none)
	}
}

func TestOwnersWant(t *testing.T) {
	const app = "{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: app, namespace: flux, uid: u%s}, spec: {%s}}"
	for name, tc := range map[string]struct {
		metadata, spec string
		change         func(*wire.Request)
		want           bool
	}{
		"it is there":            {"", "", nil, true},
		"suspended":              {"", "suspend: true", nil, false},
		"only planned":           {"", "weir: {mode: Plan}", nil, false},
		"going":                  {`, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: [x]`, "", nil, false},
		"gone":                   {"", "", func(r *wire.Request) { r.Name = "other" }, false},
		"made anew":              {"", "", func(r *wire.Request) { r.UID = "other" }, false},
		"a kind that never asks": {"", "", func(r *wire.Request) { r.Kind = "Deployment" }, false},
		"on another cluster":     {"", "", func(r *wire.Request) { r.Name, r.Remote = "other", true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(fmt.Appendf(nil, app, tc.metadata, tc.spec), &obj.Object); err != nil {
				t.Fatal(err)
			}
			r := swap()
			if tc.change != nil {
				tc.change(&r)
			}
			got, err := Live{ctrlfake.NewClientBuilder().WithObjects(obj).Build()}.Wants(t.Context(), r)
			if err != nil || got != tc.want {
				t.Errorf("wants = %t (error %v), want %t", got, err, tc.want)
			}
		})
	}
}
