// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

var (
	link       = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

// TestLinksResolve follows every relative link to its file and heading.
func TestLinksResolve(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(markdown.WithoutCode(p.Prose), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			found++
			target, anchor, _ := strings.Cut(match[1], "#")
			path := p.Path
			if target != "" {
				path = filepath.Join(filepath.Dir(p.Path), target)
			}
			switch {
			case !exists(path):
				t.Errorf("%s links to %s, which does not exist", p.Path, match[1])
			case anchor != "" && !readPage(t, path).HasAnchor(anchor):
				t.Errorf("%s links to %s: %s has no such heading", p.Path, match[1], path)
			}
		}
	}
	if found == 0 {
		t.Error("no page has a link")
	}
}

func makeTargets(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, match := range makeTarget.FindAllStringSubmatch(string(data), -1) {
		targets[match[1]] = true
	}
	return targets
}
