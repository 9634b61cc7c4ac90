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

// FuzzReport: whatever a server reports, success is only what it says of each
// reference, and its words show up nowhere.
func FuzzReport(f *testing.F) {
	line := func(lines ...string) []byte {
		var w packetWriter
		for _, l := range lines {
			w.line("%s", l)
		}
		w.flush()
		return w.buf
	}
	f.Add(line("unpack ok", "ok refs/heads/a", "ok refs/heads/b"), false)
	f.Add(line("unpack ok", "ng refs/heads/a pre-receive hook declined", "ng refs/heads/b atomic push failure"), false)
	f.Add(line("unpack index-pack abnormal exit", "ng refs/heads/a unpacker error", "ng refs/heads/b unpacker error"), false)
	f.Add(line("unpack ok", "ok refs/heads/a", "ok refs/heads/a"), false)
	f.Add(line("unpack ok", "ok refs/heads/c"), false)
	f.Add(append([]byte("0014\x01000eunpack ok\n0000"), "0000"...), true)
	f.Add([]byte("000a\x02hook\n0005\x03"), true)
	updates := []Update{{Ref: "refs/heads/a"}, {Ref: "refs/heads/b"}}
	f.Fuzz(func(t *testing.T, data []byte, multiplexed bool) {
		rep, err := readReport(bytes.NewReader(data), multiplexed, updates)
		if err != nil {
			return
		}
		if !bytes.Contains(data, []byte("unpack ")) {
			t.Errorf("report %+v", rep)
		}
		err = rep.failure(updates)
		if err == nil && (!rep.unpacked || len(rep.refused) > 0 || !multiplexed && bytes.Count(data, []byte("ok refs/heads/")) < 2) {
			t.Errorf("success from %q", data)
		}
		if err != nil && !errors.Is(err, ErrDeclined) && !errors.Is(err, ErrNonFastForward) {
			t.Errorf("error %v", err)
		}
		for ref, reason := range rep.refused {
			if len(reason) > 60 && strings.Contains(err.Error(), reason) || ref != "refs/heads/a" && ref != "refs/heads/b" {
				t.Errorf("error %v", err)
			}
		}
	})
}

// FuzzPushAdvertisement: what a server says before a push decides what is sent.
func FuzzPushAdvertisement(f *testing.F) {
	var w packetWriter
	w.line("# service=git-receive-pack")
	w.flush()
	w.line("%s refs/heads/a\x00report-status delete-refs side-band-64k atomic push-options object-format=sha1", someHash)
	w.line("%s .have", someHash)
	w.flush()
	f.Add(w.buf)
	f.Add([]byte("0000"))
	f.Add([]byte("000eversion 1\n0000"))
	updates := []Update{{Ref: "refs/heads/a", Old: someHash, New: &Commit{Hash: strings.Repeat("a", 40)}}, {Ref: "refs/heads/b", Old: someHash, Delete: true}}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := readAdvertisement(bytes.NewReader(data), everything)
		if err != nil {
			return
		}
		todo, err := pending(info, updates)
		if err != nil {
			if !errors.Is(err, ErrNonFastForward) && !errors.Is(err, ErrDeclined) {
				t.Errorf("error %v", err)
			}
			return
		}
		if len(todo) > 0 && !bytes.HasPrefix(pushRequest(info, todo, nil, nil)[4:], []byte(someHash)) {
			t.Error("the request does not begin with the old commit")
		}
	})
}

// FuzzDelta: the deltas that are sent make what they are to make.
func FuzzDelta(f *testing.F) {
	f.Add([]byte("a: 1\nb: 2\n"), []byte("a: 1\nb: 3\n"))
	f.Add(bytes.Repeat([]byte("x"), 70000), bytes.Repeat([]byte("x"), 140000))
	f.Add([]byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, base, target []byte) {
		got, err := applyDelta(base, makeDelta(base, target), int64(len(target)))
		if len(base) > 0 && (err != nil || !bytes.Equal(got, target)) {
			t.Errorf("error %v", err)
		}
	})
}
