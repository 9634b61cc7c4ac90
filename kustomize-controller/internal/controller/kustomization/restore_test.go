// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"path/filepath"
	"testing"
)

// An etcd that is put back to an old state takes objects and inventories with
// it. What the controller remembers of them is wrong then, and it has to make
// the cluster equal to Git again, pruning included.
func TestRestoredEtcd(t *testing.T) {
	s := newSuite(t)
	s.awaitReadyApp(map[string]string{"a.yaml": configMap("a", "one"), "old.yaml": configMap("old", "one")})
	backup := filepath.Join(t.TempDir(), "etcd.backup")
	s.must(cluster.Snapshot(t.Context(), backup))
	later := newObject("v1/ConfigMap")
	later.SetNamespace(s.ns)
	later.SetName("after-the-backup")
	s.must(kube.Create(t.Context(), later))
	newer := map[string]string{"a.yaml": configMap("a", "two"), "new.yaml": configMap("new", "two")}
	s.awaitReady("app", s.push(newer))

	s.must(cluster.Restore(t.Context(), backup))
	if s.live("v1/ConfigMap", "after-the-backup") != nil {
		t.Fatal("the restore did not take the cluster back")
	}
	s.awaitReady("app", s.push(newer))
	s.eventually("the cluster equals Git again", func() bool {
		return field(s.live("v1/ConfigMap", "a"), "data", "key") == "two" && s.live("v1/ConfigMap", "new") != nil && s.live("v1/ConfigMap", "old") == nil
	})
}

// awaitReadyApp pushes files, creates a Kustomization "app" and waits for it.
func (s *suite) awaitReadyApp(files map[string]string) {
	s.Helper()
	revision := s.push(files)
	s.create("app")
	s.awaitReady("app", revision)
}
