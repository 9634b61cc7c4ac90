// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWary(t *testing.T) {
	text := http.Header{"Content-Type": {"text/html"}}
	status := http.Header{"Content-Type": {"application/json"}}
	for name, tc := range map[string]struct {
		resp *http.Response
		want string
		err  string
	}{
		"answer":           {&http.Response{StatusCode: 200, Header: text, Body: body("ok")}, "ok", ""},
		"status":           {&http.Response{StatusCode: 404, Header: status, Body: body("{}")}, "{}", ""},
		"error page":       {&http.Response{StatusCode: 500, Header: text, Body: body("inside")}, "", ""},
		"error of no type": {&http.Response{StatusCode: 500, Header: http.Header{}, Body: body("inside")}, "", ""},
		"redirect":         {&http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://inside"}}, Body: body("")}, "", "redirect"},
		"too much":         {&http.Response{StatusCode: 200, Header: status, Body: io.NopCloser(io.LimitReader(zeros{}, 1<<10+1))}, "", "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			through := &wary{limit: 1 << 10, next: roundTrip(func(*http.Request) (*http.Response, error) { return tc.resp, nil })}
			got, err := read(t.Context(), through, "https://one.example/api")
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "inside") {
					t.Errorf("error %v, want %q in it", err, tc.err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

// TestWaryEndsRequests covers servers that do not answer, that stop in the
// middle, and watches, which may go on for ever once they have begun.
func TestWaryEndsRequests(t *testing.T) {
	never := roundTrip(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	stuck := roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&stream{ctx: req.Context(), after: 10 * time.Minute})}, nil
	})
	for name, tc := range map[string]struct {
		next roundTrip
		url  string
		want time.Duration
		err  error
	}{
		"no answer":          {never, "https://one.example/api", requestTimeout, errTimeout},
		"no answer to watch": {never, "https://one.example/api?watch=true", requestTimeout, errTimeout},
		"half an answer":     {stuck, "https://one.example/api", requestTimeout, errTimeout},
		"watch":              {stuck, "https://one.example/api?watch=true", 10 * time.Minute, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := read(t.Context(), &wary{next: tc.next, limit: maxResponse}, tc.url)
				if got := time.Since(start); got != tc.want || !errors.Is(err, tc.err) {
					t.Errorf("ended after %s with %v, want %s and %v", got, err, tc.want, tc.err)
				}
			})
		})
	}
}

// read sends a request and reads the response.
func read(ctx context.Context, through http.RoundTripper, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := through.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var buf bytes.Buffer
	_, err = io.Copy(&buf, resp.Body)
	return buf.String(), err
}

func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// stream has nothing to read for a time, and then ends.
type stream struct {
	ctx   context.Context
	after time.Duration
}

func (s *stream) Read([]byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(s.after):
		return 0, io.EOF
	}
}
