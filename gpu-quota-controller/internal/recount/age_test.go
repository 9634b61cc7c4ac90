// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// A reservation whose pod has not been seen, since the watch of pods is behind
// or frozen, is dropped only when it is old and a look at the API server finds no
// such pod: whatever the clock does, and whatever it cannot find out.
func TestOldReservations(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []time.Duration
		pod   types.UID
		fault error
		kept  bool
	}{
		"young":                           {steps: []time.Duration{90 * time.Second}, kept: true},
		"old":                             {steps: []time.Duration{91 * time.Second}},
		"old, and its pod was stored":     {steps: []time.Duration{91 * time.Second}, pod: "p", kept: true},
		"old, and another pod was stored": {steps: []time.Duration{91 * time.Second}, pod: "another"},
		"old, and nobody knows":           {steps: []time.Duration{91 * time.Second}, fault: errors.New("the API server does not answer"), kept: true},
		"a leap, and its pod was stored":  {steps: []time.Duration{1000 * time.Hour}, pod: "p", kept: true},
		"a step back":                     {steps: []time.Duration{-time.Hour}, kept: true},
		"a step back, and young":          {steps: []time.Duration{time.Minute, -time.Hour, 90 * time.Second}, kept: true},
		"a step back, and old":            {steps: []time.Duration{time.Minute, -time.Hour, 91 * time.Second}},
		"a leap and back, and its pod was stored": {
			steps: []time.Duration{1000 * time.Hour, -1000 * time.Hour}, pod: "p", kept: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			hours := clocktesting.NewFakeClock(epoch)
			s := state(quota("q", of("n1"), func(q *quotav1.GPUQuota) {
				q.Spec.Limits = []quotav1.Limit{{Device: quotav1.DefaultDevice, Hard: "8"}}
			}))
			b := &book{record: &ledger.Record{Serial: 1, Quotas: map[string]ledger.Quota{}}}
			r := New(Options{
				Holdings: holdings.NewStore(), Relist: func() {}, Walker: parents{}, Ledger: b, View: still{s},
				Pod:    func(context.Context, string, string) (types.UID, error) { return tc.pod, tc.fault },
				Lapsed: func(ledger.Grant) {}, Changed: func([]string) {}, Metrics: NewMetrics(), Clock: hours, Log: logr.Discard(),
			})
			r.planned(s)
			root := newRoot("q")
			version := '1'
			count := func() {
				version++
				if err := errors.Join(holdings.Fill(r.Holdings, string(version)), r.count(t.Context(), root)); err != nil {
					t.Fatal(err)
				}
			}
			count()
			b.record.Reservations = []ledger.Reservation{{Pod: "p", Namespace: "n1", Name: "p", Quota: "q", Amounts: gpus(2)}}
			count()
			for _, step := range tc.steps {
				hours.SetTime(hours.Now().Add(step))
				count()
			}
			count() // settles what the one before has found
			if kept := len(b.record.Reservations) == 1; kept != tc.kept {
				t.Errorf("kept: %t", kept)
			}
		})
	}
}
