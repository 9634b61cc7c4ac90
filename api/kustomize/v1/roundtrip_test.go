// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	fluxv1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// objects is how many random objects each test looks at. The seeds are fixed, so a failure comes back.
const objects = 500

// fillers yields objects of every density: all pointers, maps and lists set, half of them, and none.
func fillers() []*randfill.Filler {
	// Times on the wire have whole seconds, and raw fields have to be JSON.
	wire := []any{
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(c.Int63n(4e9), 0) },
		func(f *metav1.FieldsV1, c randfill.Continue) {
			f.SetRawString(fmt.Sprintf(`{"f:spec":{"f:%d":{}}}`, c.Intn(9)))
		},
	}
	full := randfill.NewWithSeed(1).NilChance(0).NumElements(1, 3).Funcs(wire...)
	half := randfill.NewWithSeed(2).NilChance(0.5).NumElements(0, 3).Funcs(wire...)
	bare := randfill.NewWithSeed(3).NilChance(1).Funcs(wire...)
	return []*randfill.Filler{full, half, bare}
}

func TestFluxObjectsRoundTrip(t *testing.T) {
	for _, filler := range fillers() {
		for range objects {
			var flux fluxv1.Kustomization
			filler.Fill(&flux)
			var ours kustomizev1.Kustomization
			transcode(t, &flux, &ours)
			if diff := cmp.Diff(plain(t, &flux), plain(t, &ours)); diff != "" {
				t.Fatalf("the object changed on its way through Weir's types (-Flux +Weir):\n%s", diff)
			}
			compareAccessors(t, &flux, &ours)
		}
	}
}

func TestWeirObjectsRoundTrip(t *testing.T) {
	for _, filler := range fillers() {
		for range objects {
			var ours kustomizev1.Kustomization
			filler.Fill(&ours)
			ours.Spec.Weir, ours.Status.Weir = nil, nil
			var flux fluxv1.Kustomization
			transcode(t, &ours, &flux)
			if diff := cmp.Diff(plain(t, &ours), plain(t, &flux)); diff != "" {
				t.Fatalf("the object changed on its way through Flux's types (-Weir +Flux):\n%s", diff)
			}
		}
	}
}

func TestDecodingIsStrict(t *testing.T) {
	var ours kustomizev1.Kustomization
	if err := decode([]byte(`{"spec":{"intervall":"1m"}}`), &ours); err == nil {
		t.Fatal("a misspelt field was accepted: the round trips would prove nothing")
	}
}

// compareAccessors checks that what follows from a spec by default follows from it in Flux too.
func compareAccessors(t *testing.T, flux *fluxv1.Kustomization, ours *kustomizev1.Kustomization) {
	t.Helper()
	type defaults struct {
		Timeout, Retry, Requeue  time.Duration
		Deletion, Strategy, From string
		DependsOn                []string
	}
	want := defaults{
		Timeout: flux.GetTimeout(), Retry: flux.GetRetryInterval(), Requeue: flux.GetRequeueAfter(),
		Deletion: flux.GetDeletionPolicy(), Strategy: string(flux.GetSubstituteStrategy()),
		From: flux.Spec.SourceRef.String(),
	}
	for _, d := range flux.Spec.DependsOn {
		want.DependsOn = append(want.DependsOn, d.String())
	}
	got := defaults{
		Timeout: ours.GetTimeout(), Retry: ours.GetRetryInterval(), Requeue: ours.GetRequeueAfter(),
		Deletion: ours.GetDeletionPolicy(), Strategy: string(ours.GetSubstituteStrategy()),
		From: ours.Spec.SourceRef.String(),
	}
	for _, d := range ours.GetDependsOn() {
		got.DependsOn = append(got.DependsOn, d.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("accessors differ (-Flux +Weir):\n%s", diff)
	}
}

// transcode encodes from and decodes the result into to, which must know every field of it.
func transcode(t *testing.T, from, to any) {
	t.Helper()
	data, err := json.Marshal(from)
	if err != nil {
		t.Fatalf("encode %T: %v", from, err)
	}
	if err := decode(data, to); err != nil {
		t.Fatalf("decode into %T: %v\n%s", to, err, data)
	}
}

func decode(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// plain returns what v looks like on the wire, without regard to the order of fields.
func plain(t *testing.T, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode %T: %v", v, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("decode what %T encodes to: %v", v, err)
	}
	return m
}
