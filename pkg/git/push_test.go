// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

var someone = Signature{Name: "Bot, Jr.", Email: "bot@example.com", When: time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 5400))}

// draftOf changes files of a commit.
func draftOf(files map[string]string) Draft {
	d := Draft{Author: someone, Message: "update\n\nbody", Files: map[string][]byte{}}
	for path, content := range files {
		d.Files[path] = []byte(content)
	}
	return d
}

// change drafts upon the tip of main and pushes the result.
func change(ctx context.Context, s *Store, remote *Remote, files map[string]string, options ...string) (string, error) {
	target, err := s.Resolve(ctx, remote, main)
	if err != nil {
		return "", err
	}
	var hash string
	err = s.Read(ctx, remote, target, func(c *Commit) error {
		next, err := c.Draft(draftOf(files))
		if err != nil {
			return err
		}
		hash = next.Hash
		return s.Push(ctx, remote, Push{Updates: []Update{{Ref: "refs/heads/main", Old: c.Hash, New: next}}, Options: options})
	})
	return hash, err
}

// fsck checks what a server has.
func fsck(t *testing.T, repo *testkit.GitRepo) {
	t.Helper()
	git(t, repo, "", "fsck", "--full", "--strict", "--no-dangling")
}

func tip(t *testing.T, repo *testkit.GitRepo) string {
	t.Helper()
	return git(t, repo, "", "rev-parse", "refs/heads/main")
}

// sshServer serves the repository of another server over SSH.
func sshServer(t *testing.T, repo *testkit.GitRepo, opts ...testkit.GitSSHOption) (*testkit.GitSSHServer, map[string][]byte) {
	t.Helper()
	server, err := testkit.NewGitSSHServer(filepath.Dir(repo.Dir), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server, map[string][]byte{"identity": server.Identity, "known_hosts": server.KnownHosts}
}

// transports runs a test over each way to a server. remote returns a new one.
func transports(t *testing.T, test func(t *testing.T, repo *testkit.GitRepo, server *testkit.GitServer, remote func() *Remote)) {
	t.Helper()
	for _, name := range []string{"http", "http v0", "ssh", "ssh v0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opts []testkit.GitOption
			if name == "http v0" {
				opts = append(opts, testkit.GitProtocolV0())
			}
			server, repo := newServer(t, opts...)
			url, secret := server.URL+"/repo.git", map[string][]byte(nil)
			if strings.HasPrefix(name, "ssh") {
				var opts []testkit.GitSSHOption
				if name == "ssh v0" {
					opts = append(opts, testkit.GitSSHProtocolV0())
				}
				over, keys := sshServer(t, repo, opts...)
				url, secret = over.URL+"/repo.git", keys
			}
			test(t, repo, server, func() *Remote { return mustRemote(t, url, secret) })
		})
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *testkit.GitRepo, server *testkit.GitServer, remote func() *Remote) {
		t.Helper()
		big := noise(1, 300<<10)
		files := map[string]testkit.GitFile{
			"a.yaml": {Content: "a: 1"}, "bin/run": {Content: "#!/bin/sh", Mode: "100755"}, "link": {Content: "a.yaml", Mode: "120000"},
			"deep/er/values.yaml": {Content: big}, "deep-er": {Content: "sorts before the directory"},
		}
		for i := range 300 {
			files[fmt.Sprintf("many/%03d.yaml", i)] = testkit.GitFile{Content: fmt.Sprint(i)}
		}
		base := commit(t, repo, testkit.GitCommit{Files: files})
		store, r := newStore(t, 1<<30, Limits{}), remote()
		edited := strings.Replace(big, big[1000:1040], "edited", 1)
		hash, err := change(t.Context(), store, r, map[string]string{"bin/run": "#!/bin/true", "deep/er/values.yaml": edited, "many/150.yaml": "x"})
		if err != nil {
			t.Fatal(err)
		}
		fsck(t, repo)
		if got := tip(t, repo); got != hash {
			t.Errorf("main is at %s, want %s", got, hash)
		}
		want := "M\tbin/run\nM\tdeep/er/values.yaml\nM\tmany/150.yaml"
		if got := git(t, repo, "", "diff", "--name-status", base, hash); got != want {
			t.Errorf("changes %q", got)
		}
		if got := git(t, repo, "", "cat-file", "blob", hash+":deep/er/values.yaml"); got != strings.TrimSuffix(edited, "\n") {
			t.Error("the file is not what was drafted")
		}
		if got := git(t, repo, "", "ls-tree", hash, "bin/run"); !strings.HasPrefix(got, "100755") {
			t.Errorf("mode of bin/run: %s", got)
		}
		raw := git(t, repo, "", "cat-file", "commit", hash)
		who := fmt.Sprintf("Bot, Jr <bot@example.com> %d +0130", someone.When.Unix())
		wantRaw := "tree " + git(t, repo, "", "rev-parse", hash+"^{tree}") + "\nparent " + base + "\nauthor " + who + "\ncommitter " + who + "\n\nupdate\n\nbody"
		if diff := cmp.Diff(wantRaw, raw); diff != "" {
			t.Error(diff)
		}
		if sent := server.Stats().PushedBytes; sent > 8<<10 {
			t.Errorf("%d bytes were sent for three small changes", sent)
		}
		// What was pushed is here: neither this process nor one that starts
		// anew fetches it, and the next push goes on top.
		before := server.Stats().Fetches
		again, err := NewStore(store.root, 1<<30, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		target, got, err := checkout(t.Context(), again, remote(), main)
		if err != nil || target.Hash != hash || got["deep/er/values.yaml"] != edited || got["many/149.yaml"] != "149" {
			t.Fatalf("target %v, error %v", target, err)
		}
		if _, err := change(t.Context(), again, remote(), map[string]string{"a.yaml": "a: 2"}); err != nil {
			t.Fatal(err)
		}
		if got := server.Stats().Fetches; got != before {
			t.Errorf("%d fetches after the push", got-before)
		}
		fsck(t, repo)
		// Others go on from there, and the next fetch is a small one.
		commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"b.yaml": "b"})})
		fetched := server.Stats().FetchedBytes
		if _, got, err := checkout(t.Context(), again, remote(), main); err != nil || got["a.yaml"] != "a: 2" || got["b.yaml"] != "b" {
			t.Fatal(err)
		}
		if sent := server.Stats().FetchedBytes - fetched; sent > 8<<10 {
			t.Errorf("the next fetch was of %d bytes", sent)
		}
	})
}

// TestDrafts: drafts are commits like any other.
func TestDrafts(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	commit(t, repo, testkit.GitCommit{Files: map[string]testkit.GitFile{
		"d/x": {Content: "0"}, "link": {Content: "d/x", Mode: "120000"}, "same": {Content: "same"},
	}})
	store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Read(t.Context(), remote, target, func(c *Commit) error {
		for name, path := range map[string]string{"missing": "d/y", "below a file": "d/x/y", "directory": "d", "symlink": "link", "empty": "", "slash": "/d/x", "dots": "d/../d/x"} {
			if _, err := c.Draft(draftOf(map[string]string{"d/x": "1", path: "1"})); !errors.Is(err, ErrPath) {
				t.Errorf("%s: error %v, want ErrPath", name, err)
			}
		}
		same, err := c.Draft(draftOf(map[string]string{"same": "same"}))
		if err != nil || same.Tree() != c.Tree() {
			t.Errorf("tree %s, want %s; error %v", same.Tree(), c.Tree(), err)
		}
		tip := c
		for i := range 120 { // More than one chain of deltas.
			if tip, err = tip.Draft(draftOf(map[string]string{"d/x": fmt.Sprint(i) + noise(7, 4<<10)})); err != nil {
				return err
			}
		}
		if _, err := tip.Draft(Draft{Message: "zero \x00"}); err == nil {
			t.Error("a message with a zero byte passed")
		}
		// Back to a content that the store has: it is sent nevertheless.
		if tip, err = tip.Draft(draftOf(map[string]string{"d/x": "0"})); err != nil {
			return err
		}
		if tip.Tree() != c.Tree() {
			t.Error("the same files make another tree")
		}
		e, err := tip.File("d/x")
		if err != nil {
			return err
		}
		_, content, err := e.Open()
		if err != nil {
			return err
		}
		if data, err := io.ReadAll(content); err != nil || string(data) != "0" || e.Kind != File {
			t.Errorf("content %q, error %v", data, err)
		}
		var count int
		err = store.Ancestors(t.Context(), remote, tip, 1000, func(*Commit) (bool, error) { count++; return true, nil })
		if err != nil || count != 121+2 {
			t.Errorf("%d commits, error %v", count, err)
		}
		return store.Push(t.Context(), remote, Push{Updates: []Update{{Ref: "refs/heads/main", Old: c.Hash, New: tip}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	fsck(t, repo)
	if got := git(t, repo, "", "rev-list", "--count", "main"); got != "123" {
		t.Errorf("%s commits", got)
	}
	if _, files, err := checkout(t.Context(), store, remote, main); err != nil || files["d/x"] != "0" {
		t.Errorf("files %v, error %v", files, err)
	}
}

// TestDraftsThatAreNotSent: nothing of them is needed by those that are.
func TestDraftsThatAreNotSent(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"d/big": noise(1, 20<<10), "d/x": "0"})})
	store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Read(t.Context(), remote, target, func(c *Commit) error {
		tip := c
		// The last one of these has the files of the one that is pushed.
		for _, text := range []string{noise(2, 20<<10), noise(2, 20<<10) + "more"} {
			if tip, err = tip.Draft(draftOf(map[string]string{"d/big": text})); err != nil {
				return err
			}
		}
		next, err := c.Draft(draftOf(map[string]string{"d/big": noise(2, 20<<10) + "more"}))
		if err != nil {
			return err
		}
		return store.Push(t.Context(), remote, Push{Updates: []Update{{Ref: "refs/heads/main", Old: c.Hash, New: next}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	fsck(t, repo)
	if _, files, err := checkout(t.Context(), store, remote, main); err != nil || files["d/big"] != noise(2, 20<<10)+"more" {
		t.Errorf("error %v", err)
	}
}

// TestPushUpdates: several references, creation, deletion, leases.
func TestPushUpdates(t *testing.T) {
	t.Parallel()
	for name, atomic := range map[string]string{"atomic": "true", "not atomic": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t)
			git(t, repo, "", "config", "receive.advertiseAtomic", atomic)
			first := tip(t, repo)
			other := commit(t, repo, testkit.GitCommit{Branch: "other", Files: testkit.Files(map[string]string{"o": "o"})})
			store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
			target, err := store.Resolve(t.Context(), remote, main)
			if err != nil {
				t.Fatal(err)
			}
			err = store.Read(t.Context(), remote, target, func(c *Commit) error {
				next, err := c.Draft(draftOf(map[string]string{"a.yaml": "a: 2"}))
				if err != nil {
					return err
				}
				push := func(updates ...Update) error { return store.Push(t.Context(), remote, Push{Updates: updates}) }
				if err := push(
					Update{Ref: "refs/heads/new", New: next},
					Update{Ref: "refs/heads/other", Old: other, New: next}, // a lease on what has another history
				); err != nil {
					return err
				}
				if err := push(Update{Ref: "refs/heads/new", Old: first, New: next}); err != nil {
					t.Errorf("what is there already: %v", err)
				}
				for what, u := range map[string]Update{
					"must not exist": {Ref: "refs/heads/main", New: next}, "is elsewhere": {Ref: "refs/heads/main", Old: other, New: next},
					"is gone": {Ref: "refs/heads/gone", Old: first, New: next}, "delete": {Ref: "refs/heads/new", Old: first, Delete: true},
				} {
					if err := push(u); !errors.Is(err, ErrNonFastForward) {
						t.Errorf("%s: error %v, want ErrNonFastForward", what, err)
					}
				}
				if err := push(Update{Ref: "refs/heads/new", Old: next.Hash, Delete: true}); err != nil {
					return err
				}
				return push(Update{Ref: "refs/heads/new", Delete: true})
			})
			if err != nil {
				t.Fatal(err)
			}
			fsck(t, repo)
			refs, err := store.Refs(t.Context(), remote, "refs/heads/main", "refs/heads/new", "refs/heads/other", "refs/heads/oth")
			if err != nil || len(refs) != 2 || refs["refs/heads/main"] != first || refs["refs/heads/other"] == other {
				t.Errorf("refs %v, error %v", refs, err)
			}
		})
	}
}

func TestPushOptions(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *testkit.GitRepo, _ *testkit.GitServer, remote func() *Remote) {
		t.Helper()
		store := newStore(t, 1<<30, Limits{})
		_, err := change(t.Context(), store, remote(), map[string]string{"a.yaml": "2"}, "ci.skip")
		if !errors.Is(err, ErrPushOptions) {
			t.Errorf("error %v, want ErrPushOptions", err)
		}
		git(t, repo, "", "config", "receive.advertisePushOptions", "true")
		out := filepath.Join(t.TempDir(), "options")
		hook(t, repo, "pre-receive", `echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" >`+out)
		if _, err = change(t.Context(), store, remote(), map[string]string{"a.yaml": "2"}, "merge_request.title=a b", "ci.skip"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil || string(got) != "2 merge_request.title=a b ci.skip\n" {
			t.Errorf("options %q, error %v", got, err)
		}
		if _, err := change(t.Context(), store, remote(), map[string]string{"a.yaml": "3"}, "two\nlines"); !errors.Is(err, ErrPushOptions) {
			t.Errorf("error %v, want ErrPushOptions", err)
		}
		fsck(t, repo)
	})
}

func hook(t *testing.T, repo *testkit.GitRepo, name, script string) {
	t.Helper()
	if err := repo.Hook(name, script); err != nil {
		t.Fatal(err)
	}
}
