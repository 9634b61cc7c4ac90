// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestMetrics checks what is told of the room for artifacts.
func TestMetrics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := NewMetrics(dir, 10<<30)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	expected := "# HELP weir_artifact_storage_limit_bytes What they may take, as --storage-size-limit says, and 0 if nothing limits them.\n" +
		"# TYPE weir_artifact_storage_limit_bytes gauge\nweir_artifact_storage_limit_bytes 1.073741824e+10\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(expected), "weir_artifact_storage_limit_bytes"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry); n != 4 || err != nil {
		t.Errorf("%d metrics and error %v, want 4", n, err)
	}
}

// TestOccupied checks that what is used is counted again after a minute and not
// before.
func TestOccupied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, now := NewMetrics(dir, 0), time.Now()
	before := m.count(now)
	const files, size = 3, 1 << 20
	for i := range files {
		below := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(below, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(below, "artifact"), bytes.Repeat([]byte("weir"), size/4), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if soon := m.count(now.Add(countPause / 2)); soon != before {
		t.Errorf("%d bytes half a minute later, want %d still", soon, before)
	}
	// A machine under load may have taken long for the first count.
	after := m.count(now.Add(time.Hour)) - before
	if after < files*size || after > 2*files*size {
		t.Errorf("%d files of %d bytes take %d", files, size, after)
	}
}
