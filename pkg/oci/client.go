// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/weir-gitops/weir/pkg/dial"
)

// Defaults of Options, and limits.
const (
	defaultRate       = 100
	defaultBurst      = 200
	defaultCacheBytes = 32 << 20
	// maxSessions bounds for how many hosts and credentials connections,
	// tokens and the time of the next request are kept.
	maxSessions = 4096
)

// Options configure a Client.
type Options struct {
	// Dialer opens all connections.
	Dialer *dial.Dialer
	// Rate is how many requests in a second are sent to one host with one
	// credential, 100 by default, and Burst how many at once, 200 by default.
	Rate, Burst int
	// CacheBytes bounds what is kept of manifests and blobs, 32 MiB by
	// default.
	CacheBytes int64
	// UserAgent is sent with every request to a registry, "weir" by default.
	UserAgent string
}

// Client reads registries. It is safe for concurrent use; all users of a
// process should share one, since the limits are those of the Client.
type Client struct {
	options Options
	cache   *cache

	mu       sync.Mutex
	sessions map[string]*session
}

// NewClient returns a Client.
func NewClient(o Options) *Client {
	if o.Rate <= 0 {
		o.Rate = defaultRate
	}
	if o.Burst <= 0 {
		o.Burst = defaultBurst
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.UserAgent == "" {
		o.UserAgent = "weir"
	}
	return &Client{options: o, cache: newCache(o.CacheBytes), sessions: map[string]*session{}}
}

// Close ends idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		s.close()
	}
}

// session returns what is shared by all requests to a host with a credential.
func (c *Client) session(host string, access Access) *session {
	key := host + " " + access.Key()
	c.mu.Lock()
	defer c.mu.Unlock()
	s, found := c.sessions[key]
	if !found {
		c.makeRoom()
		s = newSession(host, access, c.options)
		c.sessions[key] = s
	}
	s.used = time.Now()
	return s
}

// makeRoom drops the session that was used longest ago if there are too many.
func (c *Client) makeRoom() {
	if len(c.sessions) < maxSessions {
		return
	}
	var oldest string
	for key, s := range c.sessions {
		if oldest == "" || s.used.Before(c.sessions[oldest].used) {
			oldest = key
		}
	}
	c.sessions[oldest].close()
	delete(c.sessions, oldest)
}

// request is one thing to ask a registry for.
type request struct {
	repo   Repository
	access Access
	method string
	// path below /v2/<repository>/, or next, a whole URL of the same registry.
	path string
	next *url.URL
	// header goes with the request.
	header http.Header
}

// do sends a request, with a fresh token if the registry does not accept the
// one at hand, and returns an answer with the status 200, or 304. The caller
// closes its body.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	s := c.session(r.repo.host, r.access)
	for retry := false; ; retry = true {
		resp, renewable, err := s.send(ctx, r)
		if err != nil {
			return nil, err
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusNotModified:
			return resp, nil
		case http.StatusUnauthorized:
			_ = resp.Body.Close()
			s.forget(r.repo)
			if renewable && !retry {
				continue
			}
		default:
			_ = resp.Body.Close()
		}
		return nil, statusError(r.repo.host, resp.StatusCode, r.access)
	}
}

// statusError words a status that is no success.
func statusError(host string, status int, access Access) error {
	switch {
	case status == http.StatusUnauthorized && access.anonymous():
		return failf(ErrAuthentication, "the registry %s asks for credentials, and there are none", host)
	case status == http.StatusUnauthorized:
		return failf(ErrAuthentication, "the registry %s does not accept the credentials", host)
	case status == http.StatusForbidden && access.anonymous():
		return failf(ErrAuthentication, "the registry %s denies access without credentials", host)
	case status == http.StatusForbidden:
		return failf(ErrAuthentication, "the registry %s denies access with these credentials", host)
	case status == http.StatusNotFound:
		return failf(ErrNotFound, "the registry %s has no such repository, tag or digest, or hides it from this credential", host)
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return failf(ErrUnsupported, "the registry %s does not support this: status %d %s", host, status, http.StatusText(status))
	default:
		return failf(ErrUnavailable, "the registry %s answered with status %d %s", host, status, http.StatusText(status))
	}
}

// read returns the body of an answer and closes it. It may have limit bytes.
func read(resp *http.Response, host string, limit int64) ([]byte, error) {
	defer resp.Body.Close()
	if resp.ContentLength > limit {
		return nil, tooLarge(host, limit)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, networkError(host, err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(host, limit)
	}
	return body, nil
}

// networkError words what went wrong below HTTP, without the URL, whose query
// may hold secrets.
func networkError(host string, err error) error {
	if classed, ok := errors.AsType[*classError](err); ok {
		return classed
	}
	for {
		wrapped, ok := errors.AsType[*url.Error](err)
		if !ok {
			break
		}
		err = wrapped.Err
	}
	text := "the connection failed, or the answer is not one that can be followed"
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("ask the registry %s: %w", host, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		text, err = "it did not answer in time", context.DeadlineExceeded
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		text = "the connection ended in the middle of an answer"
	case noTLS(err):
		text = "it does not speak TLS; 'insecure: true' permits plain HTTP"
	case isOurs(err):
		text = err.Error()
	default:
	}
	return &classError{class: ErrUnavailable, text: "ask the registry " + host + ": " + text, cause: err}
}

func noTLS(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok || errors.Is(err, http.ErrSchemeMismatch)
}

// isOurs says whether the text of an error was written on this side: others
// may quote what a server sent.
func isOurs(err error) bool {
	if errors.Is(err, dial.ErrRefused) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout)
}
