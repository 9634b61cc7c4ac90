// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// answerPatience is how long one try of a download may take to its first
	// byte: the server may have to read the whole artifact before that.
	answerPatience = 10 * time.Second
	// bytePatience is how long it may then go without another one.
	bytePatience = 30 * time.Second
)

// errSilent says that a server does not answer, or does not go on.
var errSilent = errors.New("the server is silent")

// impatient returns the client with a limit on how long each try may go without
// news. A node that is lost says nothing, and the kernel waits for it for many
// minutes; the next try reaches whoever is there instead.
func impatient(client *http.Client) *http.Client {
	limited := *client
	next := client.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	limited.Transport = &hearing{next: next, answer: answerPatience, bytes: bytePatience}
	return &limited
}

// hearing ends requests that go without news for too long.
type hearing struct {
	next          http.RoundTripper
	answer, bytes time.Duration
}

// RoundTrip implements http.RoundTripper.
func (h *hearing) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(h.answer, func() { cancel(errSilent) })
	resp, err := h.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		err = silent(ctx, err)
		cancel(nil)
		return nil, err
	}
	timer.Reset(h.bytes)
	resp.Body = &heardBody{
		ReadCloser: resp.Body, cancel: cancel, timer: timer, limit: h.bytes,
		reason: func(err error) error { return silent(ctx, err) },
	}
	return resp, nil
}

// heardBody is a body that must not pause for too long.
type heardBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
	// reason is the error to return where reading ended with one.
	reason func(error) error
}

// Read implements io.Reader.
func (b *heardBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.timer.Reset(b.limit)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.reason(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *heardBody) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// silent returns errSilent where that is why a request ended.
func silent(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}
