// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/types"
)

const maxSize = 1 << 20

// pack makes a tar.gz of headers and, for files, their content.
func pack(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	for _, h := range entries {
		content := h.PAXRecords["content"]
		h.PAXRecords, h.Size = nil, int64(len(content))
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, PAXRecords: map[string]string{"content": content}}
}

// source serves one artifact and counts the downloads.
type source struct {
	*httptest.Server
	artifact  *meta.Artifact
	downloads atomic.Int32
	status    atomic.Int32
	body      []byte
}

func serve(t *testing.T, body []byte) *source {
	t.Helper()
	s := &source{body: body}
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.downloads.Add(1)
		w.WriteHeader(int(s.status.Load()))
		_, _ = w.Write(s.body)
	}))
	t.Cleanup(s.Close)
	sum := sha256.Sum256(body)
	s.artifact = &meta.Artifact{URL: s.URL + "/x.tar.gz?token=secret", Path: "gitrepository/ns/x.tar.gz", Digest: "sha256:" + hex.EncodeToString(sum[:])}
	return s
}

func newCache(t *testing.T, size int64) *Cache {
	t.Helper()
	c, err := NewCache(t.TempDir(), size, NewFetcher(http.DefaultClient, 0, maxSize))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(c.dir); err != nil {
			t.Error(err)
		}
	})
	return c
}

func open(t *testing.T, c *Cache, uid types.UID, a *meta.Artifact) *Tree {
	t.Helper()
	tree, err := c.Open(t.Context(), uid, a)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestOpenUnpacksOncePerSource(t *testing.T) {
	s := serve(t, pack(t, file("a/b.yaml", "kind: X")))
	c := newCache(t, maxSize)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			tree, err := c.Open(t.Context(), "one", s.artifact)
			if err != nil {
				t.Error(err)
				return
			}
			defer tree.Close()
			if data, err := os.ReadFile(filepath.Join(tree.Dir(), "a/b.yaml")); string(data) != "kind: X" {
				t.Errorf("read %q, %v", data, err)
			}
		})
	}
	group.Wait()
	if got := s.downloads.Load(); got != 1 {
		t.Errorf("%d downloads, want 1", got)
	}
}

func TestAnotherSourceHasToDownloadItself(t *testing.T) {
	s := serve(t, pack(t, file("a", "x")))
	c := newCache(t, maxSize)
	first := open(t, c, "one", s.artifact)
	defer first.Close()
	s.status.Store(http.StatusForbidden)
	if tree, err := c.Open(t.Context(), "two", s.artifact); err == nil {
		tree.Close()
		t.Error("a source that may not download got the artifact from the cache")
	}
	s.status.Store(http.StatusOK)
	second := open(t, c, "two", s.artifact)
	defer second.Close()
	if first.Dir() != second.Dir() {
		t.Error("the same artifact was unpacked twice")
	}
}

func TestFetchFails(t *testing.T) {
	good := pack(t, file("a", "x"))
	for name, tc := range map[string]struct {
		change func(*source)
		is     error
		text   string
	}{
		"gone":           {func(s *source) { s.status.Store(http.StatusNotFound) }, ErrNotFound, "not found"},
		"server error":   {func(s *source) { s.status.Store(http.StatusTeapot) }, nil, "418"},
		"other content":  {func(s *source) { s.body = pack(t, file("a", "y")) }, nil, "digest is"},
		"cut off":        {func(s *source) { s.body = s.body[:len(s.body)-1] }, nil, "digest is"},
		"too large":      {func(s *source) { s.body = make([]byte, maxSize+1) }, nil, "1048576 bytes"},
		"no digest":      {func(s *source) { s.artifact.Digest = "" }, nil, "no digest"},
		"odd digest":     {func(s *source) { s.artifact.Digest = "md5:00" }, nil, "sha256"},
		"short digest":   {func(s *source) { s.artifact.Digest = "sha256:00" }, nil, "32 bytes"},
		"no URL":         {func(s *source) { s.artifact.URL = "" }, nil, "URL"},
		"nobody answers": {func(s *source) { s.Close() }, nil, "connect"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, good)
			tc.change(s)
			tree, err := newCache(t, maxSize).Open(t.Context(), "one", s.artifact)
			if err == nil {
				tree.Close()
				t.Fatal("no error")
			}
			if tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %q, want one with %q", err, tc.text)
			}
		})
	}
}

func TestEvictsWhatIsNotInUse(t *testing.T) {
	a, b := serve(t, pack(t, file("a", "12345678"))), serve(t, pack(t, file("b", "12345678")))
	c := newCache(t, 10)
	first := open(t, c, "one", a.artifact)
	second := open(t, c, "one", b.artifact)
	if _, err := os.Stat(first.Dir()); err != nil {
		t.Errorf("in use and gone: %v", err)
	}
	first.Close()
	if _, err := os.Stat(first.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Error("not in use, beyond the bound, and still there")
	}
	second.Close()
	again := open(t, c, "one", a.artifact)
	defer again.Close()
	if got := a.downloads.Load(); got != 2 {
		t.Errorf("%d downloads, want 2", got)
	}
}

func TestLostDirectoryIsFetchedAgain(t *testing.T) {
	s := serve(t, pack(t, file("a", "x")))
	c := newCache(t, maxSize)
	tree := open(t, c, "one", s.artifact)
	tree.Close()
	if err := remove(tree.Dir()); err != nil {
		t.Fatal(err)
	}
	again := open(t, c, "one", s.artifact)
	defer again.Close()
	if _, err := os.Stat(filepath.Join(again.Dir(), "a")); err != nil {
		t.Error(err)
	}
}

func TestTreesAreReadOnly(t *testing.T) {
	s := serve(t, pack(t, file("a", "x")))
	tree := open(t, newCache(t, maxSize), "one", s.artifact)
	defer tree.Close()
	info, err := os.Stat(filepath.Join(tree.Dir(), "a"))
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, %v, want read-only", info.Mode(), err)
	}
}
