// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// chain commits n times to main.
func chain(t *testing.T, repo *testkit.GitRepo, from, n int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		text := fmt.Sprint(from + i)
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter x <x> %d +0000\ndata %d\n%s\n", 1e9+from+i, len(text), text)
		if i == 0 {
			b.WriteString("from refs/heads/main^0\n")
		}
		fmt.Fprintf(&b, "M 100644 inline n\ndata %d\n%s\nM 100644 inline fix\ndata 1\nx\n", len(text), text)
	}
	git(t, repo, b.String(), "fast-import", "--quiet", "--force")
}

// log walks the history of main and returns the hashes. Every commit has to be
// whole.
func log(ctx context.Context, s *Store, remote *Remote, limit, stop int) ([]string, error) {
	target, err := s.Resolve(ctx, remote, main)
	if err != nil {
		return nil, err
	}
	var hashes []string
	err = s.History(ctx, remote, target, limit, func(c *Commit) (bool, error) {
		hashes = append(hashes, c.Hash)
		return len(hashes) < stop, c.Walk(ctx, func(e Entry) error {
			if e.Kind != File {
				return nil
			}
			_, r, err := e.Open()
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			_, err = io.Copy(io.Discard, r)
			return err
		})
	})
	return hashes, err
}

func revList(t *testing.T, repo *testkit.GitRepo, n int) []string {
	t.Helper()
	return strings.Fields(git(t, repo, "", "rev-list", "--first-parent", fmt.Sprintf("--max-count=%d", n), "main"))
}

func TestHistory(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *testkit.GitRepo, server *testkit.GitServer, remote func() *Remote) {
		t.Helper()
		chain(t, repo, 0, 150)
		store, r := newStore(t, 1<<30, Limits{}), remote()
		before := server.Stats().Fetches
		check := func(limit, stop, want, fetches int) {
			t.Helper()
			got, err := log(t.Context(), store, r, limit, stop)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(revList(t, repo, want), got); diff != "" {
				t.Fatal(diff)
			}
			after := server.Stats().Fetches
			if after > 0 && after-before != fetches {
				t.Errorf("%d fetches for %d commits, want %d", after-before, want, fetches)
			}
			before = after
		}
		check(1, 99, 1, 1)
		check(99, 1, 1, 0)
		check(99, 20, 20, 1)
		check(99, 20, 20, 0)
		check(30, 99, 30, 1)
		check(1000, 140, 140, 2)
		// New commits: what was here stays here, and is not sent again.
		chain(t, repo, 200, 1)
		check(1000, 100, 100, 1)
		chain(t, repo, 300, 3)
		sent := server.Stats().FetchedBytes
		check(1000, 100, 100, 2)
		if sent = server.Stats().FetchedBytes - sent; sent > 3<<10 {
			t.Errorf("%d bytes for three commits", sent)
		}
		check(1000, 1000, 155+1, 0)
		// An incremental fetch after all that.
		chain(t, repo, 400, 2)
		if _, files, err := checkout(t.Context(), store, r, main); err != nil || files["n"] != "401" || files["fix"] != "x" || files["a.yaml"] != "a: 1" {
			t.Errorf("files %v, error %v", files, err)
		}
	})
}

// TestHistoryOfMerges: first parents, while all sides are fetched.
func TestHistoryOfMerges(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *testkit.GitRepo, _ *testkit.GitServer, remote func() *Remote) {
		t.Helper()
		for i := range 30 {
			commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"n": fmt.Sprint(i)})})
			side := commit(t, repo, testkit.GitCommit{Branch: "side", Files: testkit.Files(map[string]string{"s": fmt.Sprint(i)})})
			merge := git(t, repo, "", "-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-m", "merge", "-p", "main", "-p", side, "main^{tree}")
			git(t, repo, "", "update-ref", "refs/heads/main", merge)
		}
		store, r := newStore(t, 1<<30, Limits{}), remote()
		for _, stop := range []int{10, 25, 1000} {
			got, err := log(t.Context(), store, r, 1000, stop)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(revList(t, repo, min(stop, 61)), got); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// TestHistoryIsRewritten: a force push, with and without the old commits left.
func TestHistoryIsRewritten(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *testkit.GitRepo, _ *testkit.GitServer, remote func() *Remote) {
		t.Helper()
		chain(t, repo, 0, 60)
		store, r := newStore(t, 1<<30, Limits{}), remote()
		if _, err := log(t.Context(), store, r, 1000, 25); err != nil {
			t.Fatal(err)
		}
		git(t, repo, "", "update-ref", "refs/heads/main", "main~40")
		chain(t, repo, 100, 30)
		git(t, repo, "", "reflog", "expire", "--expire=now", "--all")
		git(t, repo, "", "gc", "--quiet", "--prune=now")
		for _, stop := range []int{5, 45, 1000} {
			got, err := log(t.Context(), store, r, 1000, stop)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(revList(t, repo, min(stop, 51)), got); diff != "" {
				t.Fatal(diff)
			}
		}
		if _, err := change(t.Context(), store, r, map[string]string{"n": "new"}); err != nil {
			t.Fatal(err)
		}
		fsck(t, repo)
	})
}

// TestHistoryEnds: where the server's own does, and where a visitor fails.
func TestHistoryEnds(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	chain(t, repo, 0, 50)
	all := revList(t, repo, 100)
	// The server has a shallow clone itself.
	write(t, repo.Dir+"/shallow", []byte(all[29]+"\n"))
	git(t, repo, "", "-c", "gc.pruneExpire=now", "repack", "-adq")
	git(t, repo, "", "prune", "--expire=now")
	store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
	got, err := log(t.Context(), store, remote, 1000, 1000)
	if err != nil || !slices.Equal(got, all[:30]) {
		t.Errorf("%d commits, want 30; error %v", len(got), err)
	}
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("enough")
	if err := store.History(t.Context(), remote, target, 10, func(*Commit) (bool, error) { return true, failure }); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	server.SetFault(testkit.GitTruncated)
	fresh := newStore(t, 1<<30, Limits{})
	if err := fresh.History(t.Context(), remote, target, 10, func(*Commit) (bool, error) { return true, nil }); err == nil {
		t.Error("a truncated transfer passed")
	}
}

// TestStoreStaysSmall: pushes, commits of others and walks for a long time, in
// one store and with processes that start anew.
func TestStoreStaysSmall(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	chain(t, repo, 0, 40)
	store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
	for i := range maxPacks + 20 {
		if _, err := change(t.Context(), store, remote, map[string]string{"a.yaml": fmt.Sprint(i)}); err != nil {
			t.Fatal(i, err)
		}
		if i%12 == 5 {
			chain(t, repo, 1000+10*i, 3)
		}
		if i%20 == 7 {
			again, err := NewStore(store.root, 1<<30, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			store = again
			got, err := log(t.Context(), store, remote, 500, 10+2*i)
			if err != nil {
				t.Fatal(i, err)
			}
			if diff := cmp.Diff(revList(t, repo, 10+2*i), got); diff != "" {
				t.Fatal(i, diff)
			}
		}
	}
	packs, err := store.acquire(remote.key).packs()
	if err != nil || len(packs) > maxPacks {
		t.Errorf("%d packs, error %v", len(packs), err)
	}
	if n := server.Stats().Fetches; n > 25 {
		t.Errorf("%d fetches", n)
	}
	fsck(t, repo)
}
