// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// pods is so many pods with so many GPUs each.
func pods(count, each int64) gpu.Estimate {
	if count == 0 {
		return gpu.Estimate{}
	}
	return gpu.Estimate{Groups: []gpu.Group{{Shape: gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(each)}}, Min: count, Max: count}}}
}

// with changes the group of an estimate.
func with(e gpu.Estimate, change func(*gpu.Group)) gpu.Estimate {
	change(&e.Groups[0])
	return e
}

func on(product string) func(*gpu.Group) {
	return func(g *gpu.Group) { g.Shape.Pins = []map[string][]string{{"nvidia.com/gpu.product": {product}}} }
}

func request(objects ...Object) Request {
	return Request{Kind: "Kustomization", Namespace: "team", Name: "app", UID: "u", Revision: "main@sha1:1", Change: Change{Objects: objects}}
}

func TestEncodeIsTheSameInAnyOrder(t *testing.T) {
	a, b := Object{Key: "apps/Deployment/ns/a", After: pods(1, 1)}, Object{Key: "apps/Deployment/ns/b", After: pods(2, 1)}
	quota := func(name string) quotav1.GPUQuota { return quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	one, other := request(a, b), request(b, a)
	one.Quotas, other.Quotas = []quotav1.GPUQuota{quota("x"), quota("y")}, []quotav1.GPUQuota{quota("y"), quota("x")}
	one.RemovedQuotas, other.RemovedQuotas = []string{"p", "q"}, []string{"q", "p"}
	data, hash, err := Encode(one)
	if err != nil {
		t.Fatal(err)
	}
	_, otherHash, err := Encode(other)
	if err != nil || hash != otherHash {
		t.Errorf("hash %s and, in another order, %s (error %v)", hash, otherHash, err)
	}
	decoded, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one, decoded); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	other.Revision = "main@sha1:2"
	if _, changed, _ := Encode(other); changed == hash {
		t.Error("another revision has the same hash")
	}
}

func TestEncodeRefusesWhatIsTooLarge(t *testing.T) {
	r := request()
	for i := range 2000 {
		r.Objects = append(r.Objects, Object{Key: fmt.Sprintf("apps/Deployment/ns/%d", i), After: pods(1, 1)})
	}
	_, _, err := Encode(r)
	if err == nil || !strings.Contains(err.Error(), "split the revision") {
		t.Errorf("error %v, want one that says how large it may be", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      ``,
		"no owner":     `{"kind":"Kustomization","name":"a"}`,
		"no key":       `{"kind":"Kustomization","name":"a","uid":"u","objects":[{"key":""}]}`,
		"a key twice":  `{"kind":"Kustomization","name":"a","uid":"u","objects":[{"key":"a"},{"key":"a"}]}`,
		"unknown":      `{"kind":"Kustomization","name":"a","uid":"u","more":1}`,
		"two requests": `{"kind":"Kustomization","name":"a","uid":"u"}{}`,
		"large":        `{"kind":"` + strings.Repeat("x", MaxBytes) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := Decode([]byte(text)); err == nil {
				t.Errorf("decoded %+v", r)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	seed, _, err := Encode(request(Object{Key: "apps/Deployment/ns/a", Namespace: "ns", Before: pods(1, 2), After: with(pods(3, 2), on("H100")), Template: true}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"kind":"K","name":"a","uid":"u","objects":[{"key":"a","after":{"groups":[{"shape":{"resources":{"x":"1/7"}},"min":-9223372036854775808,"max":9223372036854775807}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		_, _ = r.Grows(), r.Shrinks() // whatever it says
		again, hash, err := Encode(r)
		if err != nil {
			return
		}
		decoded, err := Decode(again)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		third, otherHash, err := Encode(decoded)
		if err != nil || hash != otherHash || !bytes.Equal(again, third) {
			t.Errorf("encoded again it is another one (error %v):\n%s\n%s", err, again, third)
		}
		if !r.Covers(decoded) {
			t.Error("it does not cover itself")
		}
	})
}

func TestKeyOf(t *testing.T) {
	for want, ref := range map[string]inventory.Ref{
		"apps/Deployment/ns/a": {Group: "apps", Kind: "Deployment", Namespace: "ns", Name: "a"},
		"/Pod/ns/a":            {Kind: "Pod", Namespace: "ns", Name: "a"},
	} {
		if got := KeyOf(ref); got != want {
			t.Errorf("key %q, want %q", got, want)
		}
	}
}
