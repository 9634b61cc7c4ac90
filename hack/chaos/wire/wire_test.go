// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// start serves body behind a wire.
func start(t *testing.T, body string) (*Wire, func(patience time.Duration) (string, error)) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	t.Cleanup(server.Close)
	w, err := New(t.Context(), "127.0.0.1", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return w, func(patience time.Duration) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.Addr, http.NoBody)
		if err != nil {
			return "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		return string(content), err
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	w, get := start(t, "whole")
	expect := func(what, want string, refused bool) {
		t.Helper()
		patience := 30 * time.Second
		if refused {
			patience = 300 * time.Millisecond
		}
		got, err := get(patience)
		if (err != nil) != refused || got != want {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	expect("whole", "whole", false)
	w.Set(Down)
	expect("down", "", true)
	w.Set(Whole)
	expect("whole again", "whole", false)
	w.Set(Blocked)
	expect("blocked, a connection that there was", "", true)
	expect("blocked, a new connection", "", true)
	w.Set(Whole)
	expect("whole after the blockade", "whole", false)
	if n := w.Cut(); n == 0 {
		t.Error("there was no connection to cut")
	}
	expect("whole after the cut", "whole", false)
}

// TestUnblock has a request that waits at a blocked wire get through.
func TestUnblock(t *testing.T) {
	t.Parallel()
	w, get := start(t, "late")
	w.Set(Blocked)
	answer := make(chan string, 1)
	go func() {
		got, err := get(30 * time.Second)
		answer <- fmt.Sprintf("%s %v", got, err)
	}()
	select {
	case got := <-answer:
		t.Fatalf("an answer through a blocked wire: %s", got)
	case <-time.After(200 * time.Millisecond):
	}
	w.Set(Whole)
	if got := <-answer; got != "late <nil>" {
		t.Errorf("after the blockade: %s", got)
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", SlowBytes)
	w, get := start(t, body)
	w.Set(Slow)
	begun := time.Now()
	got, err := get(30 * time.Second)
	if err != nil || got != body {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("%d bytes took %s at %d a second", len(body), took, SlowBytes)
	}
}
