// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"

	"k8s.io/client-go/rest"
)

// LimitInFlight bounds the requests that the clients made of a config have
// under way together, whatever users they impersonate, watches not counted. The
// API server's priority and fairness then decides who waits; a client-side
// rate would only make a fast server slow.
func LimitInFlight(cfg *rest.Config, limit int) {
	slots := make(chan struct{}, limit)
	cfg.QPS, cfg.Burst = -1, -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &inFlight{next: next, slots: slots}
	})
}

type inFlight struct {
	next  http.RoundTripper
	slots chan struct{}
}

// RoundTrip waits for a slot, or for the request to be given up.
func (t *inFlight) RoundTrip(req *http.Request) (*http.Response, error) {
	if isWatch(req) {
		return t.next.RoundTrip(req)
	}
	select {
	case t.slots <- struct{}{}:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	defer func() { <-t.slots }()
	return t.next.RoundTrip(req)
}
