// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Paths of the control socket's requests.
const (
	pathState    = "/state"
	pathStop     = "/stop"
	pathSnapshot = "/snapshot"
	pathRestore  = "/restore"
	pathAct      = "/component"
)

// fileRequest is what a request about a file carries.
type fileRequest struct {
	File string `json:"file"` // an absolute path
}

// componentRequest is what a request about a component carries.
type componentRequest struct {
	Name   string `json:"name"`
	Action string `json:"action"`
}

// serveControl answers requests on the control socket until the function that it returns is called. What they ask for
// goes on as long as ctx, which is the cluster's: a client that goes away must not leave half a restore.
func (s *supervisor) serveControl(ctx context.Context) (stop func(), err error) {
	listener, err := listenUnix(s.layout.control())
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathState, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, s.snapshotState())
	})
	mux.HandleFunc("POST "+pathStop, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		s.cancel(errStopped)
	})
	mux.Handle("POST "+pathSnapshot, handler(ctx, s, s.snapshot))
	mux.Handle("POST "+pathRestore, handler(ctx, s, s.restore))
	mux.Handle("POST "+pathAct, handler(ctx, s, s.actOn))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		// It ends when stop is called; without its socket the cluster still works, and its end still removes it.
		_ = server.Serve(listener)
	}()
	return func() {
		// The answer to a stop request is on its way; anything slower is cut off.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
		<-served
	}, nil
}

// handler answers requests to do something, one at a time.
func handler[T any](ctx context.Context, s *supervisor, do func(context.Context, T) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request T
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := s.exclusive(func() error { return do(ctx, request) }); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, s.snapshotState())
	})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	// The client has gone if this fails, and nobody else would want to know.
	_ = json.NewEncoder(w).Encode(value)
}

// A control is the client's end of a control socket.
type control struct {
	http *http.Client
}

func dialControl(l layout) control {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialUnix(ctx, l.control())
		},
	}
	return control{http: &http.Client{Transport: transport}}
}

// do sends a request and decodes the answer into result, if any.
func (c control) do(ctx context.Context, method, path string, body, result any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://cluster"+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask the supervisor: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusMultipleChoices {
		text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
		return errors.Join(errors.New(strings.TrimSpace(string(text))), err)
	}
	if result == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(result)
}

// The address of a Unix socket holds 107 bytes, fewer than the path of a test's temporary directory may have. Both
// ends go by way of an open directory instead, whose path is always short.

func listenUnix(path string) (net.Listener, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	listener, err := net.Listen("unix", shortPath(dir, path))
	if err != nil {
		return nil, err
	}
	if unix, ok := listener.(*net.UnixListener); ok {
		// By the time of closing, the short path names something else; the cluster's end removes the socket.
		unix.SetUnlinkOnClose(false)
	}
	return listener, nil
}

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", shortPath(dir, path))
}

func shortPath(dir *os.File, path string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
}
