// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func everything(string) bool { return true }

const someHash = "0123456789abcdef0123456789abcdef01234567"

func FuzzAdvertisement(f *testing.F) {
	var w packetWriter
	w.line("# service=git-upload-pack")
	w.flush()
	w.line("%s HEAD\x00multi_ack symref=HEAD:refs/heads/main object-format=sha1", someHash)
	w.line("%s refs/tags/v1", someHash)
	w.line("%s refs/tags/v1^{}", someHash)
	w.flush()
	f.Add(w.buf)
	f.Add([]byte("000eversion 2\n0000"))
	f.Add([]byte("0000"))
	f.Add([]byte("0015ERR access denied"))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := readAdvertisement(bytes.NewReader(data), everything)
		if err != nil {
			return
		}
		for _, r := range info.refs {
			if !validHash(r.hash) || r.peeled != "" && !validHash(r.peeled) {
				t.Errorf("reference %+v", r)
			}
		}
	})
}

func FuzzList(f *testing.F) {
	var w packetWriter
	w.line("%s HEAD symref-target:refs/heads/main", someHash)
	w.line("%s refs/tags/v1 peeled:%s", someHash, someHash)
	w.line("unborn HEAD symref-target:refs/heads/main")
	w.flush()
	f.Add(w.buf)
	f.Fuzz(func(t *testing.T, data []byte) {
		refs, err := readList(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, r := range refs {
			if !validHash(r.commit()) {
				t.Errorf("reference %+v", r)
			}
		}
	})
}

func FuzzPackOf(f *testing.F) {
	var w packetWriter
	w.line("shallow %s", someHash)
	w.flush()
	w.line("NAK")
	f.Add(append(w.buf, "000b\x01PACK..0000"...), false)
	f.Add([]byte("000dpackfile\n000b\x01PACK..0000"), true)
	f.Fuzz(func(_ *testing.T, data []byte, v2 bool) {
		pack, err := packOf(bytes.NewReader(data), &serverInfo{v2: v2}, wish{})
		if err == nil {
			_, _ = io.Copy(io.Discard, pack)
		}
	})
}

func FuzzTree(f *testing.F) {
	f.Add([]byte("100644 a\x00" + strings.Repeat("x", 20)))
	f.Add([]byte("40000 ..\x00" + strings.Repeat("x", 20)))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseTree(data)
		if err != nil {
			return
		}
		for _, e := range entries {
			if !filepath.IsLocal(e.name) || strings.Contains(e.name, "/") || e.name == "." {
				t.Errorf("name %q", e.name)
			}
		}
	})
}

// realPack returns a pack with deltas, by offset or by hash.
func realPack(tb testing.TB, offsets string) []byte {
	tb.Helper()
	repo, err := testkit.NewGitRepo(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	text := noise(1, 2000)
	for _, content := range []string{text, text + "more", text[:1500] + "less"} {
		if _, err := repo.Commit(tb.Context(), testkit.GitCommit{Files: testkit.Files(map[string]string{"f": content})}); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := repo.Git(tb.Context(), "-c", "repack.useDeltaBaseOffset="+offsets, "repack", "-adfq"); err != nil {
		tb.Fatal(err)
	}
	packs, err := filepath.Glob(repo.Dir + "/objects/pack/*.pack")
	if err != nil || len(packs) != 1 {
		tb.Fatal(packs, err)
	}
	data, err := os.ReadFile(packs[0])
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func noBases(plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	return 0, nil, plumbing.ErrObjectNotFound
}

// FuzzReceivePack: whatever a server sends, what is stored can be read back
// as what its hashes promise, and nothing panics or takes gigabytes.
func FuzzReceivePack(f *testing.F) {
	f.Add(realPack(f, "true"))
	f.Add(realPack(f, "false"))
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		packs := filepath.Join(dir, "objects", "pack")
		if err := os.MkdirAll(packs, 0o700); err != nil {
			t.Fatal(err)
		}
		err := receivePack(t.Context(), packs, bytes.NewReader(data), Limits{Transfer: 1 << 20, Object: 1 << 20}, noBases)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v has no class", err)
			}
			left, _ := os.ReadDir(packs)
			if len(left) > 0 {
				t.Errorf("%s was left behind", left[0].Name())
			}
			return
		}
		readBack(t, dir)
	})
}

// readBack reads every object of the one pack in the store.
func readBack(t *testing.T, dir string) {
	t.Helper()
	store := openObjects(dir)
	defer store.close()
	iter, err := store.store.IterEncodedObjects(plumbing.AnyObject)
	if err != nil {
		t.Fatal(err)
	}
	err = iter.ForEach(func(o plumbing.EncodedObject) error {
		_, _, err := store.any(plumbing.AnyObject, o.Hash(), 1<<30)
		return err
	})
	if err != nil {
		t.Errorf("read back: %v", err)
	}
}

// TestIndexIsGits: git itself accepts the index that was written.
func TestIndexIsGits(t *testing.T) {
	t.Parallel()
	for _, offsets := range []string{"true", "false"} {
		t.Run("deltas by offset: "+offsets, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			repo, err := testkit.NewGitRepo(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			packs := filepath.Join(dir, "objects", "pack")
			if err := receivePack(t.Context(), packs, bytes.NewReader(realPack(t, offsets)), Limits{}.withDefaults(), noBases); err != nil {
				t.Fatal(err)
			}
			if out, err := repo.Git(t.Context(), "fsck", "--full", "--strict"); err != nil {
				t.Errorf("%s: %v", out, err)
			}
		})
	}
}

func FuzzKnownHosts(f *testing.F) {
	f.Add([]byte("github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"))
	f.Add([]byte("@cert-authority * x"))
	f.Add([]byte("|1|x|y ssh-rsa AAAA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := parseKnownHosts(data)
		if err != nil && (!errors.Is(err, ErrAuthentication) || strings.Contains(err.Error(), os.TempDir()+"/")) {
			t.Errorf("error %v", err)
		}
	})
}

func FuzzVersions(f *testing.F) {
	f.Add(">=1.0.0", "v1.2.3", "1.2.4+x")
	f.Fuzz(func(t *testing.T, constraint, a, b string) {
		refs := []ref{{name: tagPrefix + a, hash: someHash}, {name: tagPrefix + b, hash: someHash}, {name: "HEAD", hash: someHash}}
		targets, err := Reference{SemVer: constraint}.pick(refs)
		if constraint == "" {
			return
		}
		if (err == nil) == (len(targets) == 0) {
			t.Errorf("targets %v, error %v", targets, err)
		}
	})
}
