// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package compat holds Weir's own types to those of Flux. It is for tests.
package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"
)

// objects is how many random objects each test looks at. The seeds are fixed, so a failure comes back.
const objects = 500

// fillers yields objects of every density: all pointers, maps and lists set, half of them, and none.
func fillers() []*randfill.Filler {
	// Times on the wire have whole seconds, and raw fields have to be JSON.
	wire := []any{
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(c.Int63n(4e9), 0) },
		func(j *apiextensionsv1.JSON, c randfill.Continue) { j.Raw = fmt.Appendf(nil, `{"key":%d}`, c.Intn(9)) },
		func(f *metav1.FieldsV1, c randfill.Continue) {
			f.SetRawString(fmt.Sprintf(`{"f:spec":{"f:%d":{}}}`, c.Intn(9)))
		},
	}
	full := randfill.NewWithSeed(1).NilChance(0).NumElements(1, 3).Funcs(wire...)
	half := randfill.NewWithSeed(2).NilChance(0.5).NumElements(0, 3).Funcs(wire...)
	bare := randfill.NewWithSeed(3).NilChance(1).Funcs(wire...)
	return []*randfill.Filler{full, half, bare}
}

// RoundTrip fills Flux's type at random, decodes it strictly into ours and compares, and then the same the other way
// round, where strip takes out of an object what only Weir has. Check compares what follows from the two by default.
func RoundTrip[Flux, Weir any](t *testing.T, strip func(*Weir), check func(*testing.T, *Flux, *Weir)) {
	t.Helper()
	if err := decode([]byte(`{"spec":{"intervall":"1m"}}`), new(Weir)); err == nil {
		t.Fatal("a misspelt field was accepted: the round trips would prove nothing")
	}
	for _, filler := range fillers() {
		for range objects {
			flux, ours := settled(t, filler, new(Flux), func(*Flux) {}), new(Weir)
			transcode(t, flux, ours)
			if diff := cmp.Diff(plain(t, flux), plain(t, ours)); diff != "" {
				t.Fatalf("the object changed on its way through Weir's types (-Flux +Weir):\n%s", diff)
			}
			check(t, flux, ours)

			flux, ours = new(Flux), settled(t, filler, new(Weir), strip)
			transcode(t, ours, flux)
			if diff := cmp.Diff(plain(t, ours), plain(t, flux)); diff != "" {
				t.Fatalf("the object changed on its way through Flux's types (-Weir +Flux):\n%s", diff)
			}
		}
	}
}

// settled fills obj, strips it, and returns it as its own type reads it back: what cannot be said on the wire, such as a
// pointer to nothing, is gone.
func settled[T any](t *testing.T, filler *randfill.Filler, obj *T, strip func(*T)) *T {
	t.Helper()
	filler.Fill(obj)
	strip(obj)
	read := new(T)
	transcode(t, obj, read)
	return read
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
