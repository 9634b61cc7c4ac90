// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
)

var errAnswered = errors.New("answered")

// gate is an API server that answers when it is told to.
type gate struct {
	clients []http.RoundTripper
	answer  chan struct{}

	mu      sync.Mutex
	arrived int
}

// newGate returns a gate and two clients of it, made of one limited config.
func newGate(limit int) *gate {
	g := &gate{answer: make(chan struct{})}
	cfg := &rest.Config{}
	LimitInFlight(cfg, limit)
	for range 2 {
		g.clients = append(g.clients, cfg.WrapTransport(g))
	}
	return g
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(*http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.arrived++
	g.mu.Unlock()
	<-g.answer
	return nil, errAnswered
}

func (g *gate) send(ctx context.Context, client int, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://kubernetes"+path, http.NoBody)
	if err != nil {
		return err
	}
	_, err = g.clients[client].RoundTrip(req)
	return err
}

// wants compares how many requests have reached the server, all in all.
func (g *gate) wants(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.arrived != want {
		t.Fatalf("%d requests have reached the server, want %d", g.arrived, want)
	}
}

func TestInFlightIsBoundedOverAllClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(3)
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				if err := g.send(t.Context(), i%2, "/api/v1/pods"); !errors.Is(err, errAnswered) {
					t.Errorf("error %v, want the server's", err)
				}
			})
		}
		g.wants(t, 3)
		g.answer <- struct{}{}
		g.wants(t, 4)
		close(g.answer)
		group.Wait()
		g.wants(t, 8)
	})
}

func TestWatchesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		var group sync.WaitGroup
		for _, path := range []string{"/a?watch=true", "/b?watch=1", "/c", "/d?watch=false", "/e"} {
			group.Go(func() { _ = g.send(t.Context(), 0, path) })
		}
		g.wants(t, 3) // both watches, and one of the others
		close(g.answer)
		group.Wait()
		g.wants(t, 5)
	})
}

func TestGivenUpRequestDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		var group sync.WaitGroup
		group.Go(func() { _ = g.send(t.Context(), 0, "/a") })
		g.wants(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		group.Go(func() {
			if err := g.send(ctx, 0, "/b"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that the context ended", err)
			}
		})
		g.wants(t, 1)
		cancel()
		g.wants(t, 1)
		close(g.answer)
		group.Wait()
	})
}

func TestNoRateOfTheClient(t *testing.T) {
	cfg := &rest.Config{}
	LimitInFlight(cfg, 1)
	if cfg.QPS != -1 {
		t.Errorf("QPS %v, want -1, which is none", cfg.QPS)
	}
}

// All slots are taken by requests that hang; the leader still renews its lease
// and sees whether there is a counterpart.
func TestLeasesWaitForNoSlot(t *testing.T) {
	t.Parallel()
	hanging, end := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/leases") {
			hanging <- struct{}{}
			<-end
			return
		}
		w.Header().Set("Content-Type", "application/json")
		kind := "Lease"
		if r.URL.Query().Has("fieldSelector") {
			kind = "LeaseList"
		}
		_, _ = io.WriteString(w, `{"apiVersion":"coordination.k8s.io/v1","kind":"`+kind+`"}`)
	}))
	defer server.Close()
	defer close(end)
	o := &Options{MaxInFlight: 1, RequestTimeout: time.Minute, Namespace: "weir-system"}
	o.LeaderElection.RenewDeadline = time.Minute
	a := &App{Name: "test-controller", Log: logr.Discard()}
	a.connected(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, o)
	ordinary, err := coordinationclient.NewForConfig(a.Config)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = ordinary.RESTClient().Get().AbsPath("/api/v1/pods").Do(t.Context()).Error() }()
	<-hanging
	if err := a.setupGuard(o, nil); err != nil {
		t.Fatal(err)
	}
	lock, err := newLock(rest.CopyConfig(a.leases), a.guard, o.LeaderElection, a.Log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, _, err := lock.Interface.Get(ctx); err != nil {
		t.Errorf("the lease cannot be read: %v", err)
	}
	if _, err := a.guard.Live(ctx); err != nil {
		t.Errorf("a counterpart cannot be looked for: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := ordinary.RESTClient().Get().AbsPath("/apis/coordination.k8s.io/v1/leases").Do(short).Error(); err == nil {
		t.Error("there was a slot for an ordinary request")
	}
}
