// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// h100 are n devices of the class of the tests.
func h100(n int64) gpu.Amounts { return gpu.Amounts{"h100": gpu.Whole(n)} }

// tree is research(64) over team-a(16) and team-b(unlimited), open, counted to 100.
func tree() *Record {
	return &Record{
		Serial: 1, Term: 1, CountedTo: "100",
		Quotas: map[string]Quota{
			"research": {Hard: h100(64)},
			"team-a":   {Parent: "research", Hard: h100(16)},
			"team-b":   {Parent: "research"},
		},
	}
}

func with(r *Record, quota string, change func(*Quota)) *Record {
	q := r.Quotas[quota]
	change(&q)
	r.Quotas[quota] = q
	return r
}

func used(r *Record, quota string, n int64) *Record {
	return with(r, quota, func(q *Quota) { q.Used = h100(n) })
}

func claim(pod, quota string, n int64) Claim {
	return Claim{Pod: types.UID(pod), Namespace: quota, Name: pod, Quota: quota, Amounts: h100(n)}
}

func reserve(r *Record, pod, quota string, n int64) *Record {
	r.Reservations = append(r.Reservations, Reservation{
		Pod: types.UID(pod), Namespace: quota, Name: pod, Quota: quota, Amounts: h100(n),
	})
	return r
}

func grants(r *Record, objects ...GrantObject) *Record {
	r.Grants = append(r.Grants, Grant{Owner: "ks", Kind: "Kustomization", Namespace: "flux-system", Name: "apps", Objects: objects})
	return r
}

func charged(r *Record, quota string) gpu.Amount { return open(r).charge(quota)["h100"] }

func admission(mode quotav1.Enforcement) func(*Quota) {
	return func(q *Quota) { q.Admission = mode }
}

func valid(t *testing.T, r *Record) {
	t.Helper()
	data, err := r.Encode()
	if err != nil {
		t.Fatalf("the record cannot be encoded: %v", err)
	}
	if _, err := Decode(data); err != nil {
		t.Fatalf("the record cannot be decoded: %v", err)
	}
}
