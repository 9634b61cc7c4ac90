// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestEntries(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"d/e/f": "1", "d-e": "2", "d/a": "3"})})
	remote := mustRemote(t, server.URL+"/repo.git", nil)
	store := newStore(t, 1<<30, Limits{})
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Read(t.Context(), remote, target, func(c *Commit) error {
		var paths []string
		top, err := c.Root().Entries()
		if err != nil {
			return err
		}
		for _, e := range top {
			paths = append(paths, e.Path)
			if _, err := e.Entries(); e.Kind != Dir && !errors.Is(err, ErrPath) {
				t.Errorf("%s is no directory: got error %v", e.Path, err)
			}
		}
		below, err := top[1].Entries()
		for _, e := range below {
			paths = append(paths, e.Path)
		}
		if diff := cmp.Diff([]string{"a.yaml", "d", "d-e", "d/a", "d/e"}, paths); diff != "" {
			t.Error("(-want +got):\n" + diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
