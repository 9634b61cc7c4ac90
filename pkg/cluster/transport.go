// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// requestTimeout bounds a request, the body of its response included. A
	// watch is bounded until its response begins.
	requestTimeout = 30 * time.Second
	// slowRequest is when a request without a response raises doubt about
	// the cluster.
	slowRequest = 2 * time.Second
	// maxResponse is how many bytes a response may have, watches excepted.
	maxResponse = 256 << 20
)

// errTimeout has a text of its own, because that of a context tells nobody
// anything.
var errTimeout = errors.New("it does not answer in time")

// wary passes requests on to a server that somebody else runs. It bounds their
// time and the size of what comes back, follows no redirect, which would carry
// the credentials elsewhere, and drops error pages, which would carry what the
// server says into a condition.
type wary struct {
	next http.RoundTripper
	// limit is how many bytes a response may have, watches excepted.
	limit int64
}

// RoundTrip sends the request.
func (t *wary) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(requestTimeout, func() { cancel(errTimeout) })
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	body := &boundedBody{ReadCloser: resp.Body, left: t.limit, limit: t.limit, why: func() error { return context.Cause(ctx) }, done: func() { timer.Stop(); cancel(nil) }}
	resp.Body = body
	if isWatch(req) {
		timer.Stop()
		body.left = -1
	}
	if err := judge(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// judge returns an error for a redirect, and takes away a body that is not an
// answer of an API server.
func judge(resp *http.Response) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return errors.New("it answers with a redirect, which is not followed; name the address that it leads to")
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode >= 400 && (err != nil || !strings.HasPrefix(kind, "application/")) {
		_ = resp.Body.Close()
		resp.Body, resp.ContentLength = http.NoBody, 0
	}
	return nil
}

func isWatch(req *http.Request) bool {
	watch, _ := strconv.ParseBool(req.URL.Query().Get("watch"))
	return watch
}

// boundedBody ends with an error after so many bytes; with a negative number
// it does not.
type boundedBody struct {
	io.ReadCloser
	left, limit int64
	why         func() error // the request was ended, nil if it was not
	done        func()
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			return 0, fmt.Errorf("its response has more than %d bytes", b.limit)
		}
	}
	if err != nil && errors.Is(b.why(), errTimeout) {
		err = errTimeout
	}
	return n, err
}

// Close implements io.Closer.
func (b *boundedBody) Close() error {
	b.done()
	return b.ReadCloser.Close()
}

// guard passes requests on while the cluster can be reached, and tells the
// link of those that raise doubt about that.
type guard struct {
	link *link
	next http.RoundTripper
}

// RoundTrip sends the request, or fails at once.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.link.failure(); err != nil {
		return nil, err
	}
	slow := time.AfterFunc(slowRequest, g.link.doubt)
	resp, err := g.next.RoundTrip(req)
	slow.Stop()
	if err != nil && req.Context().Err() == nil || err == nil && resp.StatusCode == http.StatusUnauthorized {
		g.link.doubt()
	}
	return resp, err
}
