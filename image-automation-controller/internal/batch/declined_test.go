// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// badCommit is a hook that declines pushes with one author's commit.
const badCommit = `while read old new ref; do
  if git log --format=%an "$old..$new" | grep -q bot-02; then echo "secret words" >&2; exit 1; fi
done`

func TestDeclinedPushGoesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.repo.Hook("pre-receive", badCommit); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		w.Submit(w.bump(i, "v1"))
	}
	got := w.outcomes(5)
	for i := range 5 {
		o := got[owner(i).Name]
		if i == 2 {
			if !errors.Is(o.Err, git.ErrDeclined) || !errors.Is(o.Err, ErrPush) || o.Commit != "" || strings.Contains(o.Err.Error(), "secret") {
				t.Errorf("the declined one: %+v", o)
			}
			continue
		}
		if o.Err != nil || w.git("log", "-1", "--format=%an", o.Commit) != owner(i).Name {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if log := w.git("log", "--reverse", "--format=%an", "main"); log != "Person\nbot-00\nbot-01\nbot-03\nbot-04" {
		t.Errorf("log %q", log)
	}
	if pushes := w.server.Stats().Pushes; pushes != 1+5 {
		t.Errorf("%d pushes, want 6", pushes)
	}
	w.clean()
}

// TestProtectedBranch: nobody is sent alone where that cannot help.
func TestProtectedBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.git("config", "receive.denyNonFastForwards", "true")
	w.commit("images", map[string]string{"x": "1"})
	for i := range 3 {
		w.Submit(w.proposed(i, "v1"))
	}
	for name, o := range w.outcomes(3) {
		if !errors.Is(o.Err, git.ErrProtected) || !errors.Is(o.Err, git.ErrDeclined) || o.Commit != "" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if pushes := w.server.Stats().Pushes; pushes != 1 {
		t.Errorf("%d pushes, want 1", pushes)
	}
	w.clean()
}

// TestServerFailsAmongThoseAlone: what fails for all is tried once.
func TestServerFailsAmongThoseAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.repo.Hook("pre-receive", badCommit); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	for i := range 5 {
		j := w.bump(i, "v1")
		if i == 1 {
			j.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
				if rounds++; rounds == 2 {
					w.server.SetFault(testkit.GitErrorOnPush)
				}
				return bump(i, "v1")(ctx, tip)
			}
		}
		w.Submit(j)
	}
	for name, o := range w.outcomes(5) {
		if (o.Err == nil) != (name == "bot-00") || errors.Is(o.Err, git.ErrDeclined) {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if pushes := w.server.Stats().Pushes; pushes != 3 {
		t.Errorf("%d pushes, want 3", pushes)
	}
	w.clean()
}
