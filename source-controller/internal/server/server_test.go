// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"

	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

var object = storage.Object{Kind: "GitRepository", Namespace: "ns", Name: "name"}

func newFiles(t *testing.T) (*storage.Storage, meta.Artifact, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := storage.New(storage.Options{Path: dir, Host: "h", RetentionRecords: 2, Digest: "sha256", MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s, put(t, s, "content"), dir
}

func put(t *testing.T, s *storage.Storage, content string) meta.Artifact {
	t.Helper()
	a := s.Artifact(object, "main@sha1:x", "x.tar.gz")
	err := s.Write(t.Context(), object, &a, func(a *storage.Archive) error {
		return a.File("f", false, int64(len(content)), strings.NewReader(content))
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request(t *testing.T, h http.Handler, method, path string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestServe(t *testing.T) {
	t.Parallel()
	files, a, dir := newFiles(t)
	s := New(":0", files, logr.Discard(), nil)
	whole, err := os.ReadFile(dir + "/" + a.Path)
	if err != nil {
		t.Fatal(err)
	}
	path, tag := "/"+a.Path, `"`+a.Digest+`"`
	tests := map[string]struct {
		method, path string
		header       map[string]string
		status       int
		body         string
	}{
		"get":                    {"GET", path, nil, 200, string(whole)},
		"head":                   {"HEAD", path, nil, 200, ""},
		"range":                  {"GET", path, map[string]string{"Range": "bytes=2-5"}, 206, string(whole[2:6])},
		"range from the end":     {"GET", path, map[string]string{"Range": "bytes=-3"}, 206, string(whole[len(whole)-3:])},
		"range of this content":  {"GET", path, map[string]string{"Range": "bytes=2-5", "If-Range": tag}, 206, string(whole[2:6])},
		"range of other content": {"GET", path, map[string]string{"Range": "bytes=2-5", "If-Range": `"x"`}, 200, string(whole)},
		"range too far":          {"GET", path, map[string]string{"Range": "bytes=9999-"}, 416, ""},
		"unchanged":              {"GET", path, map[string]string{"If-None-Match": tag}, 304, ""},
		"changed":                {"GET", path, map[string]string{"If-None-Match": `"x"`}, 200, string(whole)},
		"not that content":       {"GET", path, map[string]string{"If-Match": `"x"`}, 412, ""},
		"root":                   {"GET", "/", nil, 200, ""},
		"directory":              {"GET", "/gitrepository/", nil, 404, ""},
		"directory of an object": {"GET", "/gitrepository/ns/name/", nil, 404, ""},
		"lock":                   {"GET", path + ".lock", nil, 404, ""},
		"missing":                {"GET", "/gitrepository/ns/name/y.tar.gz", nil, 404, ""},
		"escape":                 {"GET", "/gitrepository/ns/name/..%2f..%2f..%2fetc", nil, 404, ""},
		"post":                   {"POST", path, nil, 405, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := request(t, s, tc.method, tc.path, tc.header)
			if w.Code != tc.status {
				t.Fatalf("status %d, want %d", w.Code, tc.status)
			}
			if tc.status < 300 && w.Body.String() != tc.body {
				t.Errorf("%d bytes, want %d", w.Body.Len(), len(tc.body))
			}
			if tc.status >= 400 && strings.Contains(w.Body.String(), "x.tar.gz") {
				t.Errorf("an error lists a file: %s", w.Body)
			}
			if tc.path == path && tc.status == 200 && w.Header().Get("ETag") != tag {
				t.Errorf("ETag %s, want %s", w.Header().Get("ETag"), tag)
			}
		})
	}
}

func TestTagFollowsTheContent(t *testing.T) {
	t.Parallel()
	files, first, _ := newFiles(t)
	s := New(":0", files, logr.Discard(), nil)
	if got := request(t, s, "GET", "/"+first.Path, nil).Header().Get("ETag"); got != `"`+first.Digest+`"` {
		t.Errorf("ETag %s", got)
	}
	second := put(t, files, "other content")
	if got := request(t, s, "GET", "/"+first.Path, nil).Header().Get("ETag"); got != `"`+second.Digest+`"` {
		t.Errorf("ETag %s after a new content, want %s", got, second.Digest)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	files, a, _ := newFiles(t)
	listening := make(chan net.Addr, 1)
	s := New("127.0.0.1:0", files, logr.Discard(), func(addr net.Addr) { listening <- addr })
	if !s.NeedLeaderElection() {
		t.Error("standbys would serve")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	address := (<-listening).String()
	resp, err := http.Get("http://" + address + "/" + a.Path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil || int64(len(data)) != *a.Size || resp.Body.Close() != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not end")
	}
	if err := New(address+"x", files, logr.Discard(), nil).Start(t.Context()); err == nil {
		t.Error("no error for an address that cannot be listened on")
	}
}
