// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

// errNoAnswer ends a request that took too long.
var errNoAnswer = errors.New("the API server did not answer in time")

// limitPatience bounds the time of every request but watches. An API server
// ends its requests by itself; a proxy, or a network that swallows packets,
// does not, and a request without an end would hold its worker for good.
func limitPatience(cfg *rest.Config, limit time.Duration) {
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &patience{next: next, limit: limit}
	})
}

type patience struct {
	next  http.RoundTripper
	limit time.Duration
}

// RoundTrip gives the request and the reading of its answer the time that they
// may take together.
func (p *patience) RoundTrip(req *http.Request) (*http.Response, error) {
	if isWatch(req) {
		return p.next.RoundTrip(req)
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), p.limit, errNoAnswer)
	resp, err := p.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoAnswer) {
			err = errNoAnswer
		}
		cancel()
		return nil, err
	}
	resp.Body = &timedBody{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// timedBody ends the time of its request when it is closed.
type timedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *timedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

func isWatch(req *http.Request) bool {
	watch, _ := strconv.ParseBool(req.URL.Query().Get("watch"))
	return watch
}
