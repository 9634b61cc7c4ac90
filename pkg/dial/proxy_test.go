// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestProxy(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.URL.String() + " " + r.Header.Get("Proxy-Authorization")
	}))
	defer proxy.Close()
	address := parse(t, proxy.URL)
	address.User = url.UserPassword("u", "p")

	if _, err := get(t, Client{Proxy: address}, "http://registry.example.com/v2/", nil); err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, "http://registry.example.com/v2/ Basic dTpw"; got != want {
		t.Errorf("the proxy saw %q, want %q", got, want)
	}

	// An address that nobody may connect to is not reached by a detour either.
	if _, err := get(t, Client{Proxy: address}, "http://169.254.169.254/latest", nil); !errors.Is(err, ErrRefused) {
		t.Errorf("metadata service through a proxy: %v, want ErrRefused", err)
	}
	// The proxy itself is a destination.
	client, err := New(Policy{}).HTTP(Client{Proxy: address})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.example.com/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(req); !errors.Is(err, ErrRefused) {
		t.Errorf("proxy on loopback: %v, want ErrRefused", err)
	}
}
