// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"io"
	"net/http"

	"k8s.io/client-go/rest"
)

// statusKey is the key of a context under which a request finds where to leave
// the status code of its response.
type statusKey struct{}

// noting returns a context whose request notes the status code of its response.
func noting(ctx context.Context, code *int) context.Context {
	return context.WithValue(ctx, statusKey{}, code)
}

// bind returns a copy of config whose requests end with ctx, and fail from then
// on with its cause: the SDK gives its own no context.
func bind(ctx context.Context, config *rest.Config) *rest.Config {
	bound := rest.CopyConfig(config)
	bound.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &boundTransport{
			next:  next,
			cause: func() error { return context.Cause(ctx) },
			after: func(do func()) func() bool { return context.AfterFunc(ctx, do) },
		}
	})
	return bound
}

// boundTransport sends requests while an action goes on.
type boundTransport struct {
	next http.RoundTripper
	// cause is why the action has ended; nil while it goes on.
	cause func() error
	// after does something when it ends.
	after func(do func()) (stop func() bool)
}

// RoundTrip implements http.RoundTripper.
func (t *boundTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if cause := t.cause(); cause != nil {
		return nil, cause
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	stop := t.after(func() { cancel(t.cause()) })
	end := func() { stop(); cancel(nil) }
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if cause := t.cause(); cause != nil {
			err = cause
		}
		end()
		return nil, err
	}
	if code, ok := req.Context().Value(statusKey{}).(*int); ok {
		*code = resp.StatusCode
	}
	resp.Body = &body{ReadCloser: resp.Body, end: end}
	return resp, nil
}

// body ends its request when it is closed.
type body struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
