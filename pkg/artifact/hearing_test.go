// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
)

// silence serves "hello", but the first request is left waiting before the
// header, or after the first bytes.
func silence(t *testing.T, afterHeader bool) *httptest.Server {
	t.Helper()
	var asked atomic.Bool
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Swap(true) {
			_, _ = io.WriteString(w, "hello")
			return
		}
		if afterHeader {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "he")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-end:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	return server
}

const helloDigest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

// limits are those of a fetcher's client.
func limits(t *testing.T, f *Fetcher) *hearing {
	t.Helper()
	h, ok := f.client.HTTPClient.Transport.(*hearing)
	if !ok {
		t.Fatal("the client bears any silence")
	}
	return h
}

func TestASilentServerIsAskedAgain(t *testing.T) {
	server := silence(t, false)
	f := NewFetcher(server.Client(), 2, 100)
	limits(t, f).answer = 100 * time.Millisecond
	if err := f.Fetch(t.Context(), &meta.Artifact{URL: server.URL + "/a", Digest: helloDigest}, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestADownloadThatStopsIsAnError(t *testing.T) {
	server := silence(t, true)
	f := NewFetcher(server.Client(), 2, 100)
	limits(t, f).bytes = 100 * time.Millisecond
	a := &meta.Artifact{URL: server.URL + "/a", Digest: helloDigest}
	if err := f.Fetch(t.Context(), a, io.Discard); !errors.Is(err, errSilent) {
		t.Errorf("error %v, want that the server is silent", err)
	}
	if err := f.Fetch(t.Context(), a, io.Discard); err != nil {
		t.Error(err)
	}
}

// Who is turned away while a new leader is elected is back soon after that.
func TestWaitsStayShort(t *testing.T) {
	f := NewFetcher(http.DefaultClient, 9, 100)
	var total time.Duration
	for try := range 9 {
		wait := f.client.Backoff(f.client.RetryWaitMin, f.client.RetryWaitMax, try, nil)
		if wait > 2*time.Second {
			t.Errorf("%s before try %d", wait, try+2)
		}
		total += wait
	}
	if total < 15*time.Second {
		t.Errorf("it gives up after %s, before there can be another leader", total)
	}
}
