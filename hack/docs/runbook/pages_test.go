// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

// A deed is what happens around a block of commands. Before is what makes them
// necessary, after is what must have come of them.
type deed struct {
	before func(*testing.T, *world)
	after  func(t *testing.T, w *world, printed string)
}

// deeds are those of a page, by a part of the block that no other block has.
func deeds() map[string]map[string]deed {
	return map[string]map[string]deed{
		"docs/operations.md":        operations(),
		"docs/security.md":          locking(),
		"docs/upgrade.md":           upgrades(),
		"docs/disaster-recovery.md": disasters(),
	}
}

// TestPages runs the pages in their order. A page that fails is not followed
// by another: it leaves behind what nobody knows.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, page := range read(t) {
		if !t.Run(page.Path, func(t *testing.T) { w.runPage(t, page) }) {
			return
		}
	}
}

func (w *world) runPage(t *testing.T, page *markdown.Page) {
	steps, around := stepsOf(t, page), deeds()[page.Path]
	if page.Path == "docs/upgrade.md" {
		mirror(t, w)
	}
	w.writeFiles(t, page)
	for _, step := range steps {
		if step.Pods {
			continue
		}
		ok := t.Run(step.Section, func(t *testing.T) {
			d := around[find(t, around, step)]
			if d.before != nil {
				d.before(t, w)
			}
			printed := w.run(t, step.Script)
			if d.after != nil {
				d.after(t, w, printed)
			}
		})
		if !ok {
			return
		}
	}
}

// find returns the key of what belongs to a step, or "".
func find(t *testing.T, around map[string]deed, step Step) string {
	t.Helper()
	found := ""
	for part := range around {
		if strings.Contains(step.Script, part) {
			if found != "" {
				t.Fatalf("%q and %q are both in\n%s", found, part, step.Script)
			}
			found = part
		}
	}
	return found
}

// TestEveryCommandIsRun counts: each block of commands on the pages is run
// here, or is marked and run in pods. What is checked around a block belongs to
// one block that is there.
func TestEveryCommandIsRun(t *testing.T) {
	t.Parallel()
	for _, page := range read(t) {
		steps := stepsOf(t, page)
		here, pods := 0, 0
		for _, step := range steps {
			if step.Pods {
				pods++
			} else {
				here++
			}
		}
		t.Logf("%s: %d blocks are run with processes, %d in pods", page.Path, here, pods)
		for part := range deeds()[page.Path] {
			n := 0
			for _, step := range steps {
				if strings.Contains(step.Script, part) && !step.Pods {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %q is in %d blocks, want it in one", page.Path, part, n)
			}
		}
	}
}

func read(t *testing.T) []*markdown.Page {
	t.Helper()
	var pages []*markdown.Page
	for _, path := range Pages() {
		page, err := markdown.Read(root, path)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page)
	}
	return pages
}

func stepsOf(t *testing.T, page *markdown.Page) []Step {
	t.Helper()
	steps, err := Steps(page)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}
