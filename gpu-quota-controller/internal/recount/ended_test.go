// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"context"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// refusing is a book that takes nothing for a while.
type refusing struct {
	*book
	times int
}

func (r *refusing) Update(ctx context.Context, root string, change func(*ledger.Record) error) error {
	if r.times--; r.times >= 0 {
		return r.book.Update(ctx, root, func(record *ledger.Record) error {
			if err := change(record.Clone()); err != nil {
				return err
			}
			return ledger.ErrConflict
		})
	}
	return r.book.Update(ctx, root, change)
}

// What a pod held leaves one slot: not one for each time that the ledger could
// not be written, and none for a pod that the leader before has seen to end; but
// one for a pod that ended when nobody led.
func TestEndedPodsLeaveOneSlot(t *testing.T) {
	for name, tc := range map[string]struct {
		refused int
		// countedTo is of the record when this leader begins to count, with the
		// pod in its Holdings from 5 until 7.
		countedTo string
		want      string
	}{
		"it ended while nobody led":           {0, "5", "gpu 2"},
		"the leader before has seen that":     {0, "7", ""},
		"nothing was ever counted":            {0, "", ""},
		"and the ledger could not be written": {3, "5", "gpu 2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := state(quota("q", of("n1")))
			b := &refusing{&book{record: &ledger.Record{Serial: 1, CountedTo: tc.countedTo, Quotas: map[string]ledger.Quota{}}}, tc.refused}
			r := New(Options{
				Holdings: holdings.NewStore(), Relist: func() {}, Walker: parents{}, Ledger: b, View: still{s},
				Lapsed: func(ledger.Grant) {}, Changed: func([]string) {}, Metrics: NewMetrics(), Clock: clock.RealClock{}, Log: logr.Discard(),
			})
			r.planned(s)
			if err := holdings.Fill(r.Holdings, "5", made("p", 2)); err != nil {
				t.Fatal(err)
			}
			if err := holdings.Fill(r.Holdings, "7"); err != nil {
				t.Fatal(err)
			}
			root := newRoot("q")
			for range tc.refused {
				if err := r.count(t.Context(), root); err == nil {
					t.Fatal("the ledger was written")
				}
			}
			for range 2 {
				if err := r.count(t.Context(), root); err != nil {
					t.Fatal(err)
				}
			}
			got := ""
			for _, slot := range b.record.Slots {
				got += sum(slot.Amounts)
			}
			if got != tc.want {
				t.Errorf("slots of %q, want %q", got, tc.want)
			}
		})
	}
}

// Who could land on either of two classes has left room for one pod.
func TestTakeOfEitherClass(t *testing.T) {
	s := slots{}
	s.lose(holdings.Owner{UID: "o"}, "n1", gpu.Amounts{"a100": gpu.Whole(2), "h100": gpu.Whole(2)}, epoch)
	s.lose(holdings.Owner{UID: "o"}, "n1", gpu.Amounts{"h100": gpu.Whole(2)}, epoch)
	s["o"].take(gpu.Amounts{"a100": gpu.Whole(2)})
	kept := s.kept(func(string) string { return "q" })
	if len(kept) != 1 || sum(kept[0].Amounts) != "h100 2" || kept[0].Either {
		t.Errorf("kept is %+v, want what the second has lost", kept)
	}
}
