// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestCollectors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 8)
	collectors, registry := NewCollectors(), prometheus.NewPedanticRegistry()
	if err := registry.Register(collectors); err != nil {
		t.Fatal(err)
	}
	store := NewStore(s.core, s.namespace, collectors)
	s.admit(store, "research", claim("a", "team-b", 4), Admitted)
	s.update("research", func(r *Record) error { return r.Lead(2) })
	s.admit(store, "research", claim("b", "team-b", 4), Admitted)
	collectors.Conflict("research")
	collectors.Waited("", time.Second)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			got[family.GetName()] += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	if got["gpuquota_ledger_cas_conflicts_total"] < 1 {
		t.Errorf("conflicts: %v", got)
	}
	delete(got, "gpuquota_ledger_cas_conflicts_total")
	want := map[string]float64{
		"gpuquota_ledger_writes_total": 2,
		"gpuquota_ledger_batch_pods":   2,
		"gpuquota_ledger_size_bytes":   0,
		"gpuquota_ledger_wait_seconds": 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v (-want +got):\n%s", slices.Sorted(maps.Keys(got)), diff)
	}
}
