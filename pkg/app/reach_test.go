// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// TestAwaitServer has an API server come up while a controller starts.
func TestAwaitServer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := &rest.Config{Host: "http://" + address}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := awaitServer(ended, logr.Discard(), cfg, time.Minute); !errors.Is(err, ErrStopped) || (&Options{}).Ended(err) != 0 {
		t.Errorf("told to end while nobody listens: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- awaitServer(t.Context(), logr.Discard(), cfg, time.Millisecond) }()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	var knows atomic.Bool
	asked := make(chan struct{}, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		if !knows.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "nothing for you")
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	for range 3 {
		select {
		case <-asked:
		case err := <-done:
			t.Fatalf("it did not wait for a token that is good: %v", err)
		}
	}
	knows.Store(true)
	if err := <-done; err != nil {
		t.Errorf("a server that refuses is there: %v", err)
	}
}
