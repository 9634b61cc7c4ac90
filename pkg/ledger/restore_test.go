// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// After etcd was restored, devices of pods that were admitted since the snapshot
// are not given out again. It is not parallel, since the cluster is away for a while.
func TestEtcdRestored(t *testing.T) {
	s := newShop(t)
	s.open("research", 8)
	store := s.store()
	s.admit(store, "research", claim("a", "team-b", 4), Admitted)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	if err := cluster.Snapshot(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	s.admit(store, "research", claim("b", "team-b", 4), Admitted)
	if err := cluster.Restore(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	s.admit(store, "research", claim("c", "team-b", 4), Closed)
	s.admit(s.store(), "research", claim("c", "team-b", 4), Closed) // one that never knew better
	err := s.leader.Update(t.Context(), "research", func(r *Record) error {
		return r.Apply(Count{Term: 1, ResourceVersion: s.now()})
	})
	if !errors.Is(err, ErrStale) && !errors.Is(err, ErrBackwards) {
		t.Errorf("a count by an informer from before got %v", err)
	}
	s.update("research", func(r *Record) error {
		return r.Apply(Count{Term: 1, ResourceVersion: s.now(), Live: true, Used: map[string]gpu.Amounts{"team-b": h100(4)}})
	})
	s.admit(store, "research", claim("c", "team-b", 4), Exceeded)
}
