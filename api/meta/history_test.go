// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package meta_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/api/meta"
)

// TestHistoryEqualsFlux records the same reconciliations in both histories and compares them after each.
func TestHistoryEqualsFlux(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var ours meta.History
	var flux fluxmeta.History
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for range 500 {
		at = at.Add(time.Minute)
		took := time.Duration(random.IntN(1e10))
		digest := "sha256:" + strconv.Itoa(random.IntN(5))
		status := []string{"ReconciliationSucceeded", "HealthCheckFailed"}[random.IntN(2)]
		metadata := map[string]string{"revision": strconv.Itoa(random.IntN(9))}

		before := encode(t, ours)
		next := ours.Record(digest, status, at, took, metadata)
		if diff := cmp.Diff(before, encode(t, ours)); diff != "" {
			t.Fatalf("Record changed its receiver:\n%s", diff)
		}
		ours = next
		flux.Upsert(digest, at, took, status, metadata)
		if diff := cmp.Diff(encode(t, flux), encode(t, ours)); diff != "" {
			t.Fatalf("histories differ (-Flux +Weir):\n%s", diff)
		}
	}
	if len(ours) != meta.MaxHistory {
		t.Errorf("%d snapshots are kept, want %d", len(ours), meta.MaxHistory)
	}
	if latest := ours.Latest(); latest == nil || !latest.LastReconciled.Time.Equal(at) {
		t.Errorf("the latest snapshot is %v, want one of %s", latest, at)
	}
}

func TestEmptyHistory(t *testing.T) {
	if latest := (meta.History{}).Latest(); latest != nil {
		t.Errorf("an empty history has the snapshot %v", latest)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
