// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// A namespace has left the tree, and a replica that did not know it yet has let
// one more pod of it in. The pod is counted where the namespace is now; what was
// reserved for it here ends, although the pod lives.
func TestReservationOfAMovedNamespaceEnds(t *testing.T) {
	s := state(quota("q", of("n2")), quota("other", of("n1")))
	b := &book{record: &ledger.Record{Serial: 1, Quotas: map[string]ledger.Quota{}}}
	now := clocktesting.NewFakeClock(epoch)
	r := New(Options{
		Holdings: holdings.NewStore(), Relist: func() {}, Walker: parents{}, Ledger: b, View: still{s},
		Pod:    func(_ context.Context, _, name string) (types.UID, error) { return types.UID(name), nil },
		Lapsed: func(ledger.Grant) {}, Changed: func([]string) {}, Metrics: NewMetrics(), Clock: now, Log: logr.Discard(),
	})
	r.planned(s)
	root := newRoot("q")
	count := func(version string, pods ...*corev1.Pod) {
		t.Helper()
		if err := holdings.Fill(r.Holdings, version, pods...); err != nil {
			t.Fatal(err)
		}
		if err := r.count(t.Context(), root); err != nil {
			t.Fatal(err)
		}
	}
	count("5")
	for _, pod := range []ledger.Reservation{{Pod: "p", Namespace: "n1", Name: "p"}, {Pod: "late", Namespace: "n2", Name: "late"}} {
		pod.Quota, pod.Amounts = "q", gpus(2)
		b.record.Reservations = append(b.record.Reservations, pod)
	}
	count("6", made("p", 2))
	if len(b.record.Reservations) != 2 {
		t.Fatalf("reservations %+v of pods that may still come", b.record.Reservations)
	}
	now.Step(requestTimeout + grace + time.Second)
	count("7", made("p", 2))
	count("8", made("p", 2))
	if got := b.record.Reservations; len(got) != 1 || got[0].Pod != "late" {
		t.Errorf("reservations %+v; want that of the pod alone that this tree counts and has not seen", got)
	}
}
