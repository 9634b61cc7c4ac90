// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/source-controller/internal/chart"
)

// TestPackageExample packages the charts of the example platform out of its
// repository, with the library that lies beside them.
func TestPackageExample(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../../../examples/llm-platform")
	files := map[string]string{}
	must(t, fs.WalkDir(root, "infra", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files[name] = string(content)
		return err
	}))
	want := map[string][]string{
		"accelerators": {"common", "device-plugin", "feature-discovery", "metrics-exporter"},
		"serving":      {"autoscaler", "common", "gateway", "model-cache"},
	}
	for name, parts := range want {
		got, err := newCharts(usual()).Package(t.Context(), tree(t, files), nil, chart.Request{Chart: "./infra/charts/" + name})
		must(t, err)
		_, _, _, all := load(t, got.Archive)
		for i, part := range all {
			all[i], _, _ = strings.Cut(part, " ")
		}
		slices.Sort(all)
		if diff := cmp.Diff(parts, all); diff != "" || got.Name != name {
			t.Errorf("%s is packaged as %s with (-want +got):\n%s", name, got.Name, diff)
		}
	}
}
