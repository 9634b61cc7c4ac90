// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

var main = Reference{Branch: "main"}

// noise returns text that does not compress to nothing.
func noise(seed uint64, bytes int) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for b.Len() < bytes {
		fmt.Fprintf(&b, "%x\n", random.Uint64())
	}
	return b.String()[:bytes]
}

func TestIncrementalFetchTransfersLittle(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]testkit.GitOption{"v2": nil, "v0": {testkit.GitProtocolV0()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t, opts...)
			files := map[string]string{}
			for i := range uint64(50) {
				files[fmt.Sprintf("apps/%02d/values.yaml", i)] = noise(i, 20<<10)
			}
			commit(t, repo, testkit.GitCommit{Files: testkit.Files(files)})
			store := newStore(t, 1<<30, Limits{})
			remote := mustRemote(t, server.URL+"/repo.git", nil)
			if _, _, err := checkout(t.Context(), store, remote, main); err != nil {
				t.Fatal(err)
			}
			first := server.Stats()
			if first.FetchedBytes < 500<<10 {
				t.Fatalf("the first fetch sent %d bytes, which proves nothing", first.FetchedBytes)
			}

			for i := range 3 {
				last := fmt.Sprint(i)
				commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"apps/07/values.yaml": last})})
				// A process that starts anew knows what is on disk.
				again, err := NewStore(store.root, 1<<30, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				_, got, err := checkout(t.Context(), again, mustRemote(t, server.URL+"/repo.git", nil), main)
				if err != nil {
					t.Fatal(err)
				}
				if got["apps/07/values.yaml"] != last || got["apps/08/values.yaml"] != files["apps/08/values.yaml"] {
					t.Fatalf("files are wrong after commit %d", i)
				}
			}
			stats := server.Stats()
			if sent := stats.FetchedBytes - first.FetchedBytes; stats.Fetches != first.Fetches+3 || sent > 12<<10 {
				t.Errorf("%d fetches sent %d bytes, want 3 and at most 12 KiB", stats.Fetches-first.Fetches, sent)
			}
			t.Logf("first fetch %d bytes, then %d bytes for 3 commits", first.FetchedBytes, stats.FetchedBytes-first.FetchedBytes)
		})
	}
}

// TestServersWithoutShallow: some servers send nothing without its history.
func TestServersWithoutShallow(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]*serverInfo{
		"v2": {v2: true, capabilities: map[string]string{"fetch": "filter"}},
		"v0": {capabilities: map[string]string{"ofs-delta": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := &Remote{info: info}
			w, err := remote.adapt(t.Context(), Target{Hash: someHash}, wish{want: []string{someHash}, have: []string{someHash}, shallow: []string{someHash}})
			if err != nil {
				t.Fatal(err)
			}
			request := string(fetchRequest(info, w))
			if strings.Contains(request, "deepen") || strings.Contains(request, "shallow") || !strings.Contains(request, "have "+someHash) {
				t.Errorf("request %q", request)
			}
		})
	}
}

func TestNothingIsFetchedTwice(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	old := commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"x": "old"})})
	store := newStore(t, 1<<30, Limits{})
	remote := mustRemote(t, server.URL+"/repo.git", nil)
	for range 3 {
		if _, _, err := checkout(t.Context(), store, remote, main); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"x": "new"})})
	if _, _, err := checkout(t.Context(), store, remote, main); err != nil {
		t.Fatal(err)
	}
	// The branch goes back: what is here is here.
	if _, err := repo.Git(t.Context(), "update-ref", "refs/heads/main", old); err != nil {
		t.Fatal(err)
	}
	target, files, err := checkout(t.Context(), store, remote, main)
	if err != nil || target.Hash != old || files["x"] != "old" {
		t.Errorf("target %v, files %v, error %v", target, files, err)
	}
	if got := server.Stats().Fetches; got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
}

func TestCredentialsDoNotShareObjects(t *testing.T) {
	t.Parallel()
	server, _ := newServer(t, testkit.GitBasicAuth("bob", "s3cret"))
	store := newStore(t, 1<<30, Limits{})
	good := map[string][]byte{"username": []byte("bob"), "password": []byte("s3cret")}
	target, _, err := checkout(t.Context(), store, mustRemote(t, server.URL+"/repo.git", good), main)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody who knows the commit but not the password gets nothing, not
	// even when the remote is not asked for the reference.
	for _, secret := range []map[string][]byte{nil, with(good, "password", []byte("x"))} {
		err := store.Read(t.Context(), mustRemote(t, server.URL+"/repo.git", secret), target, func(*Commit) error { return nil })
		if !errors.Is(err, ErrAuthentication) {
			t.Errorf("error %v, want ErrAuthentication", err)
		}
	}
}

func TestDamagedStoreIsFetchedAnew(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, name string, data []byte){
		"pack flipped": func(t *testing.T, name string, data []byte) {
			if strings.HasSuffix(name, ".pack") {
				for i := 40; i < len(data)-20; i += 7 {
					data[i] ^= 0x5a
				}
				write(t, name, data)
			}
		},
		"pack cut": func(t *testing.T, name string, data []byte) {
			if strings.HasSuffix(name, ".pack") {
				write(t, name, data[:len(data)/2])
			}
		},
		"pack empty": func(t *testing.T, name string, _ []byte) {
			if strings.HasSuffix(name, ".pack") {
				write(t, name, nil)
			}
		},
		"index cut": func(t *testing.T, name string, data []byte) {
			if strings.HasSuffix(name, ".idx") {
				write(t, name, data[:len(data)/2])
			}
		},
		"index gone": func(t *testing.T, name string, _ []byte) {
			if strings.HasSuffix(name, ".idx") {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		},
		"everything gone": func(t *testing.T, name string, _ []byte) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		},
		"tips are lies": func(t *testing.T, name string, _ []byte) {
			if filepath.Base(name) == tipsFile {
				write(t, name, []byte("../../etc\n"+strings.Repeat("0", 40)+"\n"+strings.Repeat("a", 40)))
			}
		},
	}
	for name, damage := range tests {
		for _, next := range []string{"same commit", "next commit"} {
			t.Run(name+", "+next, func(t *testing.T) {
				t.Parallel()
				server, repo := newServer(t)
				store := newStore(t, 1<<30, Limits{})
				remote := mustRemote(t, server.URL+"/repo.git", nil)
				want := map[string]string{"a.yaml": "a: 1", "b": noise(1, 4<<10), "d/e": noise(2, 4<<10)}
				commit(t, repo, testkit.GitCommit{Files: testkit.Files(want)})
				check := func() {
					t.Helper()
					_, got, err := checkout(t.Context(), store, remote, main)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatal(diff)
					}
				}
				check()
				damageAll(t, store.root, damage)
				if next == "next commit" {
					// It comes as deltas on top of what is damaged.
					want["b"] = want["b"][:3<<10] + "changed"
					commit(t, repo, testkit.GitCommit{Files: testkit.Files(want)})
				}
				check()
			})
		}
	}
}

func damageAll(t *testing.T, root string, damage func(*testing.T, string, []byte)) {
	t.Helper()
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			damage(t, path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStoreIsBounded(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"big": noise(1, 200<<10)})})
	store := newStore(t, 300<<10, Limits{})
	clock := time.Unix(1000, 0)
	store.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	// Every query is a remote of its own.
	visit := func(n int) {
		t.Helper()
		remote := mustRemote(t, fmt.Sprintf("%s/repo.git?n=%d", server.URL, n), nil)
		if _, _, err := checkout(t.Context(), store, remote, main); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 4 {
		visit(n)
		if used := diskUse(t, store.root); used > 300<<10 {
			t.Errorf("after %d remotes the store holds %d bytes, more than its limit", n+1, used)
		}
	}
	if before := server.Stats().Fetches; before != 4 {
		t.Errorf("%d fetches, want 4", before)
	}
	visit(3) // the latest is still there
	if after := server.Stats().Fetches; after != 4 {
		t.Errorf("the most recently used remote was evicted")
	}
}

func diskUse(t *testing.T, root string) int64 {
	t.Helper()
	var total int64
	err := filepath.Walk(root, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func TestPacksDoNotPileUp(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"stays": noise(1, 4<<10)})})
	store := newStore(t, 1<<30, Limits{})
	remote := mustRemote(t, server.URL+"/repo.git", nil)
	for i := range maxPacks + 5 {
		commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"changes": fmt.Sprint(i)})})
		_, files, err := checkout(t.Context(), store, remote, main)
		if err != nil {
			t.Fatal(err)
		}
		if files["changes"] != fmt.Sprint(i) || files["stays"] != noise(1, 4<<10) {
			t.Fatalf("files are wrong after commit %d", i)
		}
	}
	packs, err := store.repos[remote.key].packs()
	if err != nil {
		t.Fatal(err)
	}
	if len(packs) > maxPacks/2 {
		t.Errorf("%d packs on disk", len(packs))
	}
}

func TestLeftoversOfAKilledProcess(t *testing.T) {
	t.Parallel()
	server, _ := newServer(t)
	store := newStore(t, 1<<30, Limits{})
	remote := mustRemote(t, server.URL+"/repo.git", nil)
	packs := filepath.Join(store.root, remote.key, "objects", "pack")
	if err := os.MkdirAll(packs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(store.root, trashPrefix+"1"), 0o700); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(packs, "tmp-1.pack")
	write(t, half, []byte("PACK"))
	// An index without a pack: killed between the two renames.
	write(t, filepath.Join(packs, "pack-"+strings.Repeat("a", 40)+".idx"), []byte("x"))

	store, err := NewStore(store.root, 1<<30, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half written pack is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(store.root, trashPrefix+"1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the trash is still there: %v", err)
	}
	if _, files, err := checkout(t.Context(), store, remote, main); err != nil || files["a.yaml"] != "a: 1" {
		t.Errorf("files %v, error %v", files, err)
	}
}

func TestConcurrentReadersFetchOnce(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"big": noise(1, 100<<10)})})
	store := newStore(t, 1<<30, Limits{})
	var group sync.WaitGroup
	for range 8 {
		remote := mustRemote(t, server.URL+"/repo.git", nil)
		group.Go(func() {
			if _, files, err := checkout(t.Context(), store, remote, main); err != nil || len(files) != 2 {
				t.Errorf("%d files, error %v", len(files), err)
			}
		})
	}
	group.Wait()
	if got := server.Stats().Fetches; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limits Limits
		want   string
	}{
		"transfer": {Limits{Transfer: 10_000}, "more than 10000 bytes, the limit of --git-max-transfer-size"},
		"object":   {Limits{Object: 20_000}, "an object of 51200 bytes; the limit is 20000"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t)
			commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"big": noise(1, 50<<10)})})
			store := newStore(t, 1<<30, tc.limits)
			_, _, err := checkout(t.Context(), store, mustRemote(t, server.URL+"/repo.git", nil), main)
			if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want ErrTooLarge with %q", err, tc.want)
			}
			if used := diskUse(t, store.root); used > 0 {
				t.Errorf("%d bytes are left on disk", used)
			}
		})
	}
}

func TestCommitData(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	when := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	hash := commit(t, repo, testkit.GitCommit{Message: "Scale up\n\nBecause.", Author: "Ada <ada@example.com>", When: when, Files: map[string]testkit.GitFile{
		"b.sh": {Content: "x", Mode: "100755"}, "b/c": {Content: "y"}, "b-c": {Content: "z"}, "link": {Content: "../../etc/passwd", Mode: "120000"},
	}})
	store := newStore(t, 1<<30, Limits{})
	remote := mustRemote(t, server.URL+"/repo.git", nil)
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Read(t.Context(), remote, target, func(c *Commit) error {
		if c.Hash != hash || c.Subject() != "Scale up" || c.Author.String() != "Ada <ada@example.com>" || !c.Author.When.Equal(when) {
			t.Errorf("commit %+v", c)
		}
		var got []string
		err := c.Walk(t.Context(), func(e Entry) error {
			got = append(got, fmt.Sprint(e.Path, " ", e.Kind))
			return nil
		})
		// The order of a directory walk, which is not that of a tree.
		want := []string{"a.yaml 1", "b 0", "b/c 1", "b-c 1", "b.sh 2", "link 3"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCancelledReadReturnsSoon(t *testing.T) {
	t.Parallel()
	server, _ := newServer(t)
	store := newStore(t, 1<<30, Limits{})
	remote := mustRemote(t, server.URL+"/repo.git", nil)
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	server.SetFault(testkit.GitHangs)
	hanging := make(chan struct{})
	go func() {
		defer close(hanging)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = store.Read(ctx, remote, target, func(*Commit) error { return nil })
	}()
	// A second reader of the same remote waits for the first and gives up
	// when its own time is over.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = store.Read(ctx, mustRemote(t, server.URL+"/repo.git", nil), target, func(*Commit) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want DeadlineExceeded", err)
	}
	<-hanging
}
