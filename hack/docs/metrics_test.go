// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	metric    = regexp.MustCompile(`"(gpuquota_[a-z_]+)"`)
	described = regexp.MustCompile("`(gpuquota_[a-z_]+)`")
	// figures are named without what they begin with.
	figures = []string{"gpuquota_hard", "gpuquota_used", "gpuquota_reserved", "gpuquota_available", "gpuquota_unselected_used"}
)

// TestEveryMetricIsDescribed compares the metrics that the page of GPUQuotas
// names with those that the programs define.
func TestEveryMetricIsDescribed(t *testing.T) {
	defined := map[string]bool{}
	for _, name := range figures {
		defined[name] = true
	}
	for _, dir := range []string{"gpu-quota-controller/internal", "pkg/ledger"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, match := range metric.FindAllStringSubmatch(string(source), -1) {
				defined[match[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(defined) < len(figures)+10 {
		t.Fatalf("only %d metrics were found", len(defined))
	}
	page, err := os.ReadFile(filepath.Join(root, gpuQuotas))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, match := range described.FindAllStringSubmatch(string(page), -1) {
		told[match[1]] = true
	}
	for name := range defined {
		if !told[name] {
			t.Errorf("%s does not describe %s", gpuQuotas, name)
		}
	}
	for name := range told {
		if !defined[name] {
			t.Errorf("%s describes %s, which there is not", gpuQuotas, name)
		}
	}
}
