// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestHostileTrees(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// tree makes a tree with git's tools and returns its hash.
		tree func(t *testing.T, repo *testkit.GitRepo, blob string) string
		want error
	}{
		"dot dot":   {literal("100644 ..\x00"), ErrForbiddenPath},
		"dot git":   {literal("100644 .GIT\x00"), ErrForbiddenPath},
		"slash":     {literal("100644 a/../../b\x00"), ErrForbiddenPath},
		"same name": {literal("100644 a\x00", "100644 a\x00"), ErrForbiddenPath},
		"a bomb of trees": {func(t *testing.T, repo *testkit.GitRepo, blob string) string {
			t.Helper()
			tree := mktree(t, repo, "100644 blob "+blob+"\tf\n")
			for range 12 {
				var lines strings.Builder
				for n := range 10 {
					fmt.Fprintf(&lines, "040000 tree %s\t%d\n", tree, n)
				}
				tree = mktree(t, repo, lines.String())
			}
			return tree
		}, ErrTooLarge},
		"a path without an end": {func(t *testing.T, repo *testkit.GitRepo, blob string) string {
			t.Helper()
			tree := mktree(t, repo, "100644 blob "+blob+"\tf\n")
			for range 25 {
				tree = mktree(t, repo, "040000 tree "+tree+"\t"+strings.Repeat("d", 200)+"\n")
			}
			return tree
		}, ErrTooLarge},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t)
			blob := git(t, repo, "x", "hash-object", "-w", "--stdin")
			tree := tc.tree(t, repo, blob)
			hash := git(t, repo, "", "-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-m", "x", tree)
			git(t, repo, "", "update-ref", "refs/heads/main", hash)
			store := newStore(t, 1<<30, Limits{})
			remote := mustRemote(t, server.URL+"/repo.git", nil)
			target, err := store.Resolve(t.Context(), remote, main)
			if err != nil {
				t.Fatal(err)
			}
			err = store.Read(t.Context(), remote, target, func(c *Commit) error {
				return c.Walk(t.Context(), func(Entry) error { return nil })
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

// literal makes a tree that git's own tools would not.
func literal(heads ...string) func(*testing.T, *testkit.GitRepo, string) string {
	return func(t *testing.T, repo *testkit.GitRepo, blob string) string {
		t.Helper()
		var raw strings.Builder
		for _, head := range heads {
			raw.WriteString(head)
			for i := 0; i < 40; i += 2 {
				var b byte
				if _, err := fmt.Sscanf(blob[i:i+2], "%02x", &b); err != nil {
					t.Fatal(err)
				}
				raw.WriteByte(b)
			}
		}
		return git(t, repo, raw.String(), "hash-object", "-t", "tree", "--literally", "-w", "--stdin")
	}
}

func mktree(t *testing.T, repo *testkit.GitRepo, lines string) string {
	t.Helper()
	return git(t, repo, lines, "mktree")
}

func git(t *testing.T, repo *testkit.GitRepo, input string, args ...string) string {
	t.Helper()
	out, err := repo.GitInput(t.Context(), input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
