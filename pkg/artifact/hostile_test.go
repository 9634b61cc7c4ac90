// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lukechampine.com/blake3"
)

// Every one of these is refused with an error that says why and is the same
// each time, leaves nothing on the disk, and does not keep the cache from
// serving the next source.
func TestHostileArchives(t *testing.T) {
	good := pack(t, file("a/b.yaml", "kind: X"), file("c.yaml", strings.Repeat("x: y\n", 1000)))
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 0x40
	for name, tc := range map[string]struct {
		body []byte
		want string
	}{
		"climbs out":             {pack(t, file("../outside", "x")), `the entry "../outside" leads out of the archive`},
		"climbs out and back in": {pack(t, file("a/../b", "x")), `the entry "a/../b" leads out of the archive`},
		"climbs out, below":      {pack(t, file("a/../../outside", "x")), `the entry "a/../../outside" leads out of the archive`},
		"ends above":             {pack(t, tar.Header{Typeflag: tar.TypeDir, Name: "a/.."}), `the entry "a/.." leads out of the archive`},
		"absolute":               {pack(t, file("/etc/outside", "x")), `the entry "/etc/outside" leads out of the archive`},
		"by backslashes":         {pack(t, file(`..\outside`, "x")), `the entry "..\\outside" leads out of the archive`},
		"a link to a file":       {pack(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}), `the entry "a" is neither a file nor a directory`},
		"a device":               {pack(t, tar.Header{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}), `the entry "sda" is neither a file nor a directory`},
		"a terminal":             {pack(t, tar.Header{Typeflag: tar.TypeChar, Name: "tty"}), `the entry "tty" is neither a file nor a directory`},
		"a pipe":                 {pack(t, tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"}), `the entry "pipe" is neither a file nor a directory`},
		"a long name":            {pack(t, file("../"+strings.Repeat("x", 5000), "x")), `the entry "../` + strings.Repeat("x", maxShownName-3) + `…" leads out of the archive`},
		"one large file":         {pack(t, file("big", strings.Repeat("x", maxSize+1))), "unpacked it has more than the 1048576 bytes allowed by --artifact-max-size"},
		"many files":             {pack(t, file("a", strings.Repeat("x", maxSize-1)), file("b", "xx")), "unpacked it has more than the 1048576 bytes allowed by --artifact-max-size"},
		"a bomb":                 {bomb(t, 1<<30), "unpacked it has more than the 1048576 bytes allowed by --artifact-max-size"},
		"a bomb of headers":      {headers(t, 40_000), "unpacked it has more than the 1048576 bytes allowed by --artifact-max-size"},
		"cut off":                {good[:len(good)-40], "the archive is cut off: unexpected EOF"},
		"cut off, with a digest": {pack(t)[:12], "the archive is cut off: unexpected EOF"},
		"corrupt":                {flipped, "the archive is corrupt: "},
		"not compressed":         {[]byte("kind: ConfigMap\n"), "it is not compressed by gzip: gzip: invalid header"},
		"empty":                  {nil, "it is not compressed by gzip: EOF"},
		"no archive":             {squeeze(t, []byte(strings.Repeat("kind: X\n", 100))), "the archive is corrupt: archive/tar: invalid tar header"},
		"a file as a directory":  {pack(t, file("a", "x"), file("a/b", "x")), `the entry "a/b" cannot be written: file exists`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := serve(t, tc.body), newCache(t, maxSize)
			var texts []string
			for range 2 {
				tree, err := c.Open(t.Context(), "one", s.artifact)
				if err == nil {
					tree.Close()
					t.Fatal("unpacked")
				}
				texts = append(texts, err.Error())
			}
			if want := "unpack artifact gitrepository/ns/x.tar.gz: "; !strings.HasPrefix(texts[0], want) || !strings.Contains(texts[0], tc.want) {
				t.Errorf("error %q, want %q in it", texts[0], tc.want)
			}
			if texts[0] != texts[1] || strings.Contains(texts[0], c.dir) {
				t.Errorf("the error is another one each time, or shows a path: %q", texts)
			}
			if left, err := os.ReadDir(c.dir); err != nil || len(left) > 0 {
				t.Errorf("left on the disk: %v, %v", left, err)
			}
			open(t, c, "two", serve(t, good).artifact).Close()
		})
	}
}

// bomb is a small archive with a file of size zeros.
func bomb(t *testing.T, size int64) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bomb", Size: size, Mode: 0o600})
	zeros := make([]byte, 1<<20)
	for written := int64(0); err == nil && written < 8<<20; written += int64(len(zeros)) {
		_, err = archive.Write(zeros)
	}
	if err = errors.Join(err, zip.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// headers is an archive of n empty directories.
func headers(t *testing.T, n int) []byte {
	t.Helper()
	entries := make([]tar.Header, n)
	for i := range entries {
		entries[i] = tar.Header{Typeflag: tar.TypeDir, Name: "d" + strconv.Itoa(i%50)}
	}
	return pack(t, entries...)
}

func squeeze(t *testing.T, content []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	_, err := zip.Write(content)
	if err = errors.Join(err, zip.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestTooManyEntries(t *testing.T) {
	body := headers(t, maxEntries+1)
	if err := unpack(bytes.NewReader(body), t.TempDir(), 1<<30); !errors.Is(err, errEntries) {
		t.Errorf("error %v, want %v", err, errEntries)
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	s := serve(t, pack(t,
		tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc/passwd"},
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header"},
		file("./a", "x"),
	))
	tree := open(t, newCache(t, maxSize), "one", s.artifact)
	defer tree.Close()
	left, err := os.ReadDir(tree.Dir())
	if err != nil || len(left) != 1 || left[0].Name() != "a" {
		t.Errorf("%v, %v, want a alone", left, err)
	}
}

func TestDigests(t *testing.T) {
	body := pack(t, file("a", "x"))
	for algorithm, sum := range map[string]hash.Hash{
		"sha1": sha1.New(), "sha256": sha256.New(), "sha384": sha512.New384(), "sha512": sha512.New(), "blake3": blake3.New(32, nil),
	} {
		t.Run(algorithm, func(t *testing.T) {
			sum.Write(body)
			digest := hex.EncodeToString(sum.Sum(nil))
			for _, form := range []string{digest, strings.ToUpper(digest)} {
				s := serve(t, body)
				s.artifact.Digest = algorithm + ":" + form
				open(t, newCache(t, maxSize), "one", s.artifact).Close()
			}
			s := serve(t, pack(t, file("a", "y")))
			s.artifact.Digest = algorithm + ":" + digest
			if _, err := newCache(t, maxSize).Open(t.Context(), "one", s.artifact); err == nil || !strings.Contains(err.Error(), "should be "+digest) {
				t.Errorf("other content: %v", err)
			}
			s.artifact.Digest = algorithm + ":" + digest[2:]
			if _, err := newCache(t, maxSize).Open(t.Context(), "one", s.artifact); err == nil || !strings.Contains(err.Error(), "bytes in hex") {
				t.Errorf("too short: %v", err)
			}
		})
	}
	// What everybody agrees on about the empty input.
	if sum, err := hex.DecodeString("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"); err != nil || !bytes.Equal(newHash("blake3").Sum(nil), sum) {
		t.Error("blake3 is another one")
	}
}

// Two files with one SHA-1 can be made. What one tenant unpacks under it must
// never be what another one gets.
func TestWeakDigestsAreNotShared(t *testing.T) {
	body := pack(t, file("a", "x"))
	sum := sha1.Sum(body)
	s := serve(t, body)
	c := newCache(t, maxSize)
	s.artifact.Digest = "sha1:" + hex.EncodeToString(sum[:])
	one, two := open(t, c, "one", s.artifact), open(t, c, "two", s.artifact)
	defer one.Close()
	defer two.Close()
	if one.Dir() == two.Dir() {
		t.Error("two sources share what has the same SHA-1")
	}
	again := open(t, c, "one", s.artifact)
	defer again.Close()
	if again.Dir() != one.Dir() || s.downloads.Load() != 2 {
		t.Errorf("one source does not keep what it has fetched: %d downloads", s.downloads.Load())
	}
	if _, err := os.Stat(filepath.Join(two.Dir(), "a")); err != nil {
		t.Error(err)
	}
}
