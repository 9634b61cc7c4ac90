// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store serves artifacts in the place of source-controller.
type store struct {
	server *httptest.Server

	mu     sync.Mutex
	bodies map[string][]byte
}

func newStore() *store {
	s := &store{bodies: map[string][]byte{}}
	s.server = httptest.NewServer(s)
	return s
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	body, ok := s.bodies[r.URL.Path]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(body)
}

// publish makes a source whose artifact has one file.
func (s *store) publish(ctx context.Context, c client.Client, name, file, content string) error {
	body, err := pack(file, content)
	if err != nil {
		return fmt.Errorf("pack the artifact of %s: %w", name, err)
	}
	path := "/" + name + ".tar.gz"
	s.mu.Lock()
	s.bodies[path] = body
	s.mu.Unlock()
	source := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       sourcev1.GitRepositorySpec{URL: "https://git.example/" + name, Interval: metav1.Duration{Duration: time.Hour}},
	}
	if err := c.Create(ctx, source); err != nil {
		return fmt.Errorf("create source %s: %w", name, err)
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	source.Status.Artifact = &fluxmeta.Artifact{
		URL: s.server.URL + path, Path: path[1:], Revision: "main@sha1:" + digest[:40], Digest: "sha256:" + digest, LastUpdateTime: metav1.Now(),
	}
	if err := c.Status().Update(ctx, source); err != nil {
		return fmt.Errorf("publish the artifact of %s: %w", name, err)
	}
	return nil
}

// pack makes a tar.gz of one file.
func pack(name, content string) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = archive.Write([]byte(content))
	}
	err = errors.Join(err, archive.Close(), zip.Close())
	return buf.Bytes(), err
}
