// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package server hands artifacts to the controllers that apply them.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// Files is where a Server finds artifacts.
type Files interface {
	// Open returns a file by its path, or an error that is fs.ErrNotExist.
	Open(name string) (*os.File, error)
	// Digest returns the digest of an open file and leaves it at its start.
	Digest(file io.ReadSeeker) (string, error)
}

// shutdown is how long transfers may go on after the end was announced.
const shutdown = 10 * time.Second

// maxTags bounds the digests that are remembered.
const maxTags = 4096

// Server serves artifacts over HTTP. It is a runnable of a manager and runs on
// the leader alone, the only one who has artifacts.
type Server struct {
	address string
	files   Files
	log     logr.Logger
	ready   func(net.Addr)

	mu   sync.Mutex
	tags map[string]tag
}

// tag is a digest and the state of the file that it was computed of.
type tag struct {
	digest   string
	size     int64
	modified time.Time
}

// New returns a server for the address. It calls ready, if not nil, with the
// address that it listens on.
func New(address string, files Files, log logr.Logger, ready func(net.Addr)) *Server {
	return &Server{address: address, files: files, log: log, ready: ready, tags: map[string]tag{}}
}

// NeedLeaderElection tells the manager to run this on the leader only.
func (s *Server) NeedLeaderElection() bool { return true }

// Start serves until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("serve artifacts: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		// The context of the process is over; this one bounds the farewell.
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
		defer cancel()
		stopped <- server.Shutdown(farewell)
	})
	defer stop()
	s.log.Info("serving artifacts", "address", listener.Addr().String())
	if s.ready != nil {
		s.ready(listener.Addr())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve artifacts: %w", err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("serve artifacts: %w", err)
	}
	return nil
}

// ServeHTTP answers GET and HEAD for artifacts, with ranges and conditions. "/"
// answers 200 without a body, which is what probes ask.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/" {
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	file, err := s.files.Open(name)
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, fs.ErrNotExist) {
			status = http.StatusNotFound
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil {
		err = s.describe(w, name, file, info)
	}
	if err != nil {
		s.log.Error(err, "cannot serve artifact", "path", name)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	http.ServeContent(w, r, "", info.ModTime(), file)
}

// describe sets the headers that http.ServeContent works with.
func (s *Server) describe(w http.ResponseWriter, name string, file *os.File, info fs.FileInfo) error {
	digest, err := s.digest(name, file, info)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("ETag", `"`+digest+`"`)
	header.Set("Content-Type", "application/gzip")
	if path.Ext(name) == ".yaml" {
		header.Set("Content-Type", "application/yaml")
	}
	header.Set("X-Content-Type-Options", "nosniff")
	// The same path gets other content when spec.ignore changes.
	header.Set("Cache-Control", "no-cache")
	return nil
}

// digest returns the digest of a file, computed once per state of the file.
func (s *Server) digest(name string, file *os.File, info fs.FileInfo) (string, error) {
	s.mu.Lock()
	known, ok := s.tags[name]
	s.mu.Unlock()
	if ok && known.size == info.Size() && known.modified.Equal(info.ModTime()) {
		return known.digest, nil
	}
	digest, err := s.files.Digest(file)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tags) >= maxTags {
		clear(s.tags)
	}
	s.tags[name] = tag{digest: digest, size: info.Size(), modified: info.ModTime()}
	return digest, nil
}
