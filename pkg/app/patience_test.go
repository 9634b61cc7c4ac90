// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// silent is an API server that never answers.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// slow is an API server whose answers never end.
type slow struct{}

func (slow) RoundTrip(req *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	go func() {
		<-req.Context().Done()
		_ = writer.CloseWithError(req.Context().Err())
	}()
	return &http.Response{StatusCode: http.StatusOK, Body: reader}, nil
}

func request(t *testing.T, server http.RoundTripper, query string) (*http.Response, error) {
	t.Helper()
	cfg := &rest.Config{}
	limitPatience(cfg, time.Minute)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://kubernetes/api/v1/pods"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.WrapTransport(server).RoundTrip(req)
}

func TestRequestWithoutAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := request(t, silent{}, "")
		if !errors.Is(err, errNoAnswer) {
			t.Errorf("error %v, want that there was no answer", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %s, want a minute", took)
		}
	})
}

func TestAnswerWithoutEndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, err := request(t, slow{}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the answer was read to an end that it does not have")
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWatchesMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, err := request(t, endless{}, "?watch=true")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour) // by the test's own clock
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "event" {
			t.Errorf("read %q and %v after an hour, want the event", got, err)
		}
	})
}

// endless answers whatever the time, unless the request is over.
type endless struct{}

func (endless) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(until{req, strings.NewReader("event")})}, nil
}

type until struct {
	req  *http.Request
	body io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if err := u.req.Context().Err(); err != nil {
		return 0, err
	}
	return u.body.Read(p)
}
