// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build weirnode

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// architecture is that of the images that run on this machine.
const architecture = runtime.GOARCH

// maxManifest bounds a manifest, in bytes, like most registries do.
const maxManifest = 4 << 20

// A change is one successful request that put or deleted a manifest.
type change struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Type   string `json:"type"`
	Body   []byte `json:"body,omitempty"`
}

// A journal is a registry handler that survives its process: the wrapped one keeps blobs on disk and manifests in
// memory, so changes to those are written to a file, and repeated from it at the next start.
type journal struct {
	next http.Handler

	mu   sync.Mutex
	file *os.File
}

// keep repeats the changes in the file at path on next and returns next with a journal.
func keep(path string, next http.Handler) (http.Handler, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(file)
	for {
		var c change
		whole := decoder.InputOffset()
		err := decoder.Decode(&c)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			// What a registry that was killed wrote last may be half of a change.
			return &journal{next: next, file: file}, file.Truncate(whole)
		}
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if code := c.repeat(next); code >= http.StatusMultipleChoices {
			return nil, errors.Join(fmt.Errorf("%s %s answered %d", c.Method, c.Path, code), file.Close())
		}
	}
}

func (c change) repeat(on http.Handler) int {
	request := httptest.NewRequest(c.Method, c.Path, bytes.NewReader(c.Body))
	request.Header.Set("Content-Type", c.Type)
	answer := httptest.NewRecorder()
	on.ServeHTTP(answer, request)
	return answer.Code
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	write := r.Method == http.MethodPut || r.Method == http.MethodDelete
	if !write || !strings.Contains(r.URL.Path, "/manifests/") {
		j.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	j.mu.Lock()
	defer j.mu.Unlock()
	answer := &status{ResponseWriter: w, code: http.StatusOK}
	j.next.ServeHTTP(answer, r)
	if answer.code >= http.StatusMultipleChoices {
		return
	}
	c := change{Method: r.Method, Path: r.URL.Path, Type: r.Header.Get("Content-Type"), Body: body}
	if err := json.NewEncoder(j.file).Encode(c); err != nil {
		fmt.Fprintf(os.Stderr, "registry: keep a manifest for the next start: %v\n", err)
	}
}

// status remembers the code of an answer.
type status struct {
	http.ResponseWriter

	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
