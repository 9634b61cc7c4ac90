// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		if step.Mark != "" {
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

// TestEveryCheckHasItsBlock looks for the block that each check belongs to: one
// on its page that is run here, and only one. So nothing is checked in vain, nor
// twice.
func TestEveryCheckHasItsBlock(t *testing.T) {
	t.Parallel()
	for _, page := range read(t) {
		steps := stepsOf(t, page)
		here := 0
		for _, step := range steps {
			if step.Mark == "" {
				here++
			}
		}
		t.Logf("%s: %d of %d blocks are run here", page.Path, here, len(steps))
		for part := range deeds()[page.Path] {
			n := 0
			for _, step := range steps {
				if strings.Contains(step.Script, part) && step.Mark == "" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %q is in %d blocks, want it in one", page.Path, part, n)
			}
		}
	}
}

// TestSteps holds Steps to its word that a block which nothing would run is an
// error: TestPages runs those without a mark, and the others are those that the
// two marks stand for.
func TestSteps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		page  string
		want  []string
		fails bool
	}{
		"all sorts":               {"```sh\nkubectl get a\n```\n```sh pods\nkubectl logs a\n```\n```sh rehearsal\ngit log\n```\n```yaml\na: b\n```\n", []string{"kubectl get a", "kubectl logs a", "git log"}, false},
		"another shell":           {"```bash\nkubectl get a\n```\n", nil, true},
		"a mark of nobody":        {"```sh later\nkubectl get a\n```\n", nil, true},
		"in the text":             {"Type `kubectl get a`.\n", nil, true},
		"in the text, and run":    {"Type `kubectl get a`.\n```sh\nkubectl get a\n```\n", []string{"kubectl get a"}, false},
		"in the text, to fill in": {"Type `kubectl get <name>`.\n", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "page.md"), []byte(tc.page), 0o600); err != nil {
				t.Fatal(err)
			}
			page, err := markdown.Read(dir, "page.md")
			if err != nil {
				t.Fatal(err)
			}
			steps, err := Steps(page)
			if (err != nil) != tc.fails {
				t.Fatal(err)
			}
			var got []string
			for _, step := range steps {
				got = append(got, step.Script)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" && !tc.fails {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStays(t *testing.T) {
	t.Parallel()
	putBack := errors.New("put back")
	for name, tc := range map[string]struct {
		after int
		want  error
	}{
		"at once":   {0, putBack},
		"some time": {3, putBack},
		"never":     {1 << 30, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			looks := 0
			err := stays(t.Context(), time.Second, func(context.Context) error {
				looks++
				if looks > tc.after {
					return putBack
				}
				return nil
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("%v after %d looks, want %v", err, looks, tc.want)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stays(ended, time.Second, func(ctx context.Context) error { return ctx.Err() }); err == nil {
		t.Error("it stays, and nobody has looked")
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
