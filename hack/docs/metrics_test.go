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

// TestEveryMetricIsDescribed compares the metrics that pages name with those
// that the programs define. hack/dashboards looks at what is served.
func TestEveryMetricIsDescribed(t *testing.T) {
	for name, tc := range map[string]struct {
		pages  []string
		prefix string
		dirs   []string
		// composed are defined without what they begin with.
		composed []string
		// least is how many there are at least.
		least int
	}{
		"quotas": {
			pages: []string{gpuQuotas}, prefix: "gpuquota_", dirs: []string{"gpu-quota-controller/internal", "pkg/ledger"},
			composed: []string{"gpuquota_hard", "gpuquota_used", "gpuquota_reserved", "gpuquota_available", "gpuquota_unselected_used"},
			least:    15,
		},
		"the rest": {
			pages: []string{observability, gitRepositories, automations}, prefix: "weir_", least: 10,
			dirs: []string{"pkg/measure", "source-controller/internal", "kustomize-controller/internal", "helm-controller/internal", "image-automation-controller/internal"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			defined := map[string]bool{}
			for _, name := range tc.composed {
				defined[name] = true
			}
			for _, dir := range tc.dirs {
				collect(t, filepath.Join(root, dir), regexp.MustCompile(`"(`+tc.prefix+`[a-z_]+)"`), defined)
			}
			if len(defined) < tc.least {
				t.Fatalf("only %d metrics were found", len(defined))
			}
			told := map[string]bool{}
			for _, page := range tc.pages {
				note(t, filepath.Join(root, page), regexp.MustCompile("`("+tc.prefix+"[a-z_]+)`"), told)
			}
			for name := range defined {
				if !told[name] {
					t.Errorf("%s does not describe %s", tc.pages, name)
				}
			}
			for name := range told {
				if !defined[name] {
					t.Errorf("%s describes %s, which there is not", tc.pages, name)
				}
			}
		})
	}
}

// collect notes what the programs in a directory match.
func collect(t *testing.T, dir string, pattern *regexp.Regexp, found map[string]bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		note(t, path, pattern, found)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// note notes what a file matches.
func note(t *testing.T, path string, pattern *regexp.Regexp, found map[string]bool) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range pattern.FindAllStringSubmatch(string(content), -1) {
		found[match[1]] = true
	}
}
