// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// probes answer the kubelet from the beginning of the process to its end. Those of
// the manager answer only once it is started, and a controller that waits for its API
// server or its kinds until then, for as long as it takes, is well.
type probes struct {
	server *http.Server // nil without an address

	mu sync.Mutex
	// waiting is set until the controller has what it needs to start.
	waiting bool
	// checks say by name whether it is ready then.
	checks map[string]healthz.Checker
}

// newProbes serves /healthz and /readyz at an address. "0" or nothing: nowhere.
func newProbes(ctx context.Context, log logr.Logger, address string) (*probes, error) {
	p := &probes{waiting: true, checks: map[string]healthz.Checker{"ping": healthz.Ping}}
	if address == "" || address == "0" {
		return p, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve the probes at --health-addr: %w", err)
	}
	mux := http.NewServeMux()
	serve(mux, "/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}})
	serve(mux, "/readyz", http.HandlerFunc(p.readiness))
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 90 * time.Second}
	go func() {
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error(err, "the probes have ended")
		}
	}()
	return p, nil
}

// serve has all checks below a path, and each by its name below that.
func serve(mux *http.ServeMux, path string, handler http.Handler) {
	handler = http.StripPrefix(path, handler)
	mux.Handle(path, handler)
	mux.Handle(path+"/", handler)
}

func (p *probes) readiness(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	waiting, checks := p.waiting, maps.Clone(p.checks)
	p.mu.Unlock()
	if waiting {
		http.Error(w, "the controller waits for what it needs to start", http.StatusServiceUnavailable)
		return
	}
	(&healthz.Handler{Checks: checks}).ServeHTTP(w, r)
}

// add adds a check of the readiness.
func (p *probes) add(name string, check healthz.Checker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks[name] = check
}

// started leaves the readiness to the other checks.
func (p *probes) started() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = false
}

func (p *probes) close() {
	if p.server != nil {
		_ = p.server.Close()
	}
}

// AddReadyzCheck adds a check that has to pass before the controller is ready.
// Errors go to whoever asks /readyz, and the log.
func (a *App) AddReadyzCheck(name string, check healthz.Checker) { a.probes.add(name, check) }
