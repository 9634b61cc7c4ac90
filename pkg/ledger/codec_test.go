// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// full is a record with everything in it.
func full() *Record {
	r := slots(reserve(used(tree(), "team-a", 4), "p", "team-a", 2), "sts", 1)
	r.Closed = "counting"
	r.Devices = []quotav1.Device{{
		Name: "h100", Units: "1/7",
		Match: quotav1.DeviceMatch{ResourceNames: []string{"nvidia.com/gpu"}, NodeLabels: map[string]string{"a": "b"}},
	}}
	r.Reservations[0].Grant, r.Reservations[0].Object, r.Reservations[0].Slot = "ks", "apps/Deployment/team-a/web", "sts"
	with(r, "team-a", func(q *Quota) {
		q.Generation, q.Admission, q.Gate, q.Suspended = 3, quotav1.Warn, quotav1.Off, true
		q.PerWorkload = &quotav1.PerWorkload{MaxGPUs: "8", MaxPerPod: "4", AllowedDevices: []string{"h100"}}
		q.Hard["mig"] = sevenths(3)
		q.Hard["none"] = gpu.Whole(0)
	})
	grants(r, GrantObject{Key: "apps/Deployment/team-a/web", Quota: "team-a", Envelope: h100(8), Held: h100(2)})
	r.Grants[0].Revision, r.Grants[0].Hash = "main", "digest"
	return r
}

func TestCodec(t *testing.T) {
	want := full()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	clone := got.Clone()
	if diff := cmp.Diff(got, clone); diff != "" {
		t.Errorf("clone (-want +got):\n%s", diff)
	}
	clone.Quotas["team-a"].Hard["h100"] = gpu.Whole(1)
	clone.Quotas["team-a"].PerWorkload.AllowedDevices[0] = "x"
	clone.Reservations[0].Amounts["h100"] = gpu.Whole(7)
	clone.Slots[0].Amounts["h100"] = gpu.Whole(7)
	clone.Grants[0].Objects[0].Held["h100"] = gpu.Whole(7)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a change of the clone shows (-want +got):\n%s", diff)
	}
}

// Every way to damage a record by one byte, or to cut it, is an error.
func TestDecodeDamaged(t *testing.T) {
	data, err := full().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		if _, err := Decode(data[:i]); err == nil {
			t.Errorf("cut after %d bytes, it is read", i)
		}
		if _, err := Decode(append(bytes.Clone(data[:i]), data[i+1:]...)); err == nil && !harmless(data, i) {
			t.Errorf("without byte %d, %q, it is read: %s", i, data[i], data[max(0, i-20):min(len(data), i+20)])
		}
	}
}

// harmless: what is within a text or is one digit of several changes the value and not the form.
func harmless(data []byte, i int) bool {
	return !bytes.ContainsRune([]byte(`{}[],:"`), rune(data[i]))
}

func TestDecodeRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":        {"", "it is empty"},
		"null":           {"null", "format 0"},
		"no object":      {"[]", "it is damaged"},
		"an empty one":   {"{}", "format 0"},
		"no quotas":      {`{"format":1,"serial":1,"term":1,"quotas":{}}`, "0 root quotas"},
		"next format":    {`{"format":2,"serial":1,"term":1,"quotas":{"a":{}}}`, "has format 2"},
		"unknown field":  {`{"format":1,"serial":1,"term":1,"quotas":{"a":{"borrow":1}}}`, "does not write"},
		"twice":          {`{"format":1,"serial":1,"serial":1,"term":1,"quotas":{"a":{}}}`, "does not write"},
		"other case":     {`{"format":1,"Serial":1,"term":1,"quotas":{"a":{}}}`, "does not write"},
		"space":          {`{"format":1,"serial":1,"term":1,"quotas":{"a":{}}} `, "does not write"},
		"null amount":    {`{"format":1,"serial":1,"term":1,"quotas":{"a":{"hard":{"h100":null}}}}`, "does not write"},
		"negative":       {`{"format":1,"serial":1,"term":1,"quotas":{"a":{"hard":{"h100":"-1"}}}}`, "not an amount"},
		"a number":       {`{"format":1,"serial":1,"term":1,"quotas":{"a":{"hard":{"h100":1}}}}`, "it is damaged"},
		"two roots":      {`{"format":1,"serial":1,"term":1,"quotas":{"a":{},"b":{}}}`, "2 root quotas"},
		"lost parent":    {`{"format":1,"serial":1,"term":1,"quotas":{"a":{},"b":{"parent":"c"}}}`, "lead to no root"},
		"cycle":          {`{"format":1,"serial":1,"term":1,"quotas":{"a":{},"b":{"parent":"c"},"c":{"parent":"b"}}}`, "lead to no root"},
		"a pod twice":    {`{"format":1,"serial":1,"term":1,"quotas":{"a":{}},"reservations":[` + strings.Repeat(`{"pod":"p","ns":"","name":"","quota":"a","gpus":{}},`, 2) + `{}]}`, `the pod "p"`},
		"more than fits": {strings.Repeat(" ", MaxBytes+1), "bytes, more than"},
	} {
		if r, err := Decode([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) || r != nil {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	large := tree()
	for i := range 1000 {
		large.Quotas[fmt.Sprint("team-", i)] = Quota{Parent: "research", Hard: h100(1)}
	}
	deep := tree()
	for i := range quotav1.MaxDepth {
		deep.Quotas[fmt.Sprint("q", i+1)] = Quota{Parent: fmt.Sprint("q", i)}
	}
	deep.Quotas["q0"] = Quota{Parent: "research"}
	for name, tt := range map[string]struct {
		record *Record
		want   string
	}{
		"empty":           {&Record{}, "0 root quotas"},
		"too large":       {large, "split the tree"},
		"too deep":        {deep, "lead to no root within 5 quotas"},
		"a pod twice":     {reserve(reserve(tree(), "p", "team-a", 1), "p", "team-a", 1), `the pod "p"`},
		"a nameless slot": {slots(tree(), "", 1), "the slot of"},
		"a grant twice":   {grants(grants(tree()), GrantObject{}), "the grant of"},
		"an object twice": {grants(tree(), GrantObject{Key: "a"}, GrantObject{Key: "a"}), "the object"},
		"a crowd":         {reserve(crowd(tree()), "one more", "team-b", 1), "reservations, more than"},
	} {
		if _, err := tt.record.Encode(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := full().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1,"serial":1,"term":1,"quotas":{"a":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("it was read and is written as %s, %v", again, err)
		}
		// Whatever is read can be used.
		for quota := range r.Quotas {
			r.Balance(quota)
			r.Admit(claim("fuzz", quota, 1))
		}
		if r.Root() == "" {
			t.Error("it has no root")
		}
	})
}
