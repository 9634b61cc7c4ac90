// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/weir-gitops/weir/pkg/dial"
)

const (
	// userAgent begins as Git's own does: some servers show web pages to
	// everybody else.
	userAgent = "git/2 weir/1"
	// maxAdvertisement bounds the bytes of a server's list of references.
	maxAdvertisement = 256 << 20
)

// httpConn speaks the smart HTTP protocol.
type httpConn struct {
	client *http.Client
	auth   Auth
	base   *url.URL
	// service is where objects are requested: base, or where the server
	// redirected the first request to. program is what answers there.
	service *url.URL
	program program
}

func newHTTPConn(u *url.URL, auth Auth, dialer *dial.Dialer) (*httpConn, error) {
	base := *u
	base.User = nil
	client, err := dialer.HTTP(dial.Client{Origin: &base, CA: auth.CA, Certificate: auth.ClientCert, Key: auth.ClientKey})
	if err != nil {
		return nil, &classed{class: ErrAuthentication, text: err.Error(), cause: err}
	}
	return &httpConn{client: client, auth: auth, base: &base}, nil
}

func (c *httpConn) again(bool) bool { return true }

func (c *httpConn) close() { c.client.CloseIdleConnections() }

func (c *httpConn) advertise(ctx context.Context, service program) (io.ReadCloser, error) {
	c.program = service
	target := *c.base
	target.Path = strings.TrimSuffix(target.Path, "/") + "/info/refs"
	target.RawPath = ""
	target.RawQuery = url.Values{"service": {string(service)}}.Encode()
	resp, err := c.send(ctx, c.client, http.MethodGet, &target, nil)
	if err != nil {
		return nil, err
	}
	if kind := resp.Header.Get("Content-Type"); kind != "application/x-"+string(service)+"-advertisement" {
		_ = resp.Body.Close()
		return nil, errors.New("the server does not answer in the smart HTTP protocol of Git: check that the URL is that of a repository and not of a web page")
	}
	final := *resp.Request.URL
	path, found := strings.CutSuffix(final.Path, "/info/refs")
	if !found {
		_ = resp.Body.Close()
		return nil, errors.New("the server redirects to something that is not a Git repository")
	}
	final.Path, final.RawPath, final.RawQuery, final.User = path+"/"+string(service), "", "", nil
	c.service = &final
	return limited(resp.Body, maxAdvertisement), nil
}

func (c *httpConn) request(ctx context.Context, message []byte) (io.ReadCloser, error) {
	// A redirect was followed once, for the first request; here it would
	// repeat the message elsewhere.
	strict := *c.client
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.send(ctx, &strict, http.MethodPost, c.service, message)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *httpConn) send(ctx context.Context, client *http.Client, method string, target *url.URL, message []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(message))
	if err != nil {
		return nil, errors.New("the URL cannot be requested")
	}
	req.Header.Set("User-Agent", userAgent)
	if c.program == uploadPack {
		req.Header.Set("Git-Protocol", "version=2")
	}
	req.Header.Set("Cache-Control", "no-cache")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-"+string(c.program)+"-request")
		req.Header.Set("Accept", "application/x-"+string(c.program)+"-result")
	}
	switch {
	case c.auth.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+c.auth.BearerToken)
	case c.auth.Username != "":
		req.SetBasicAuth(c.auth.Username, c.auth.Password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, transportError(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, statusError(resp.StatusCode)
	}
	return resp, nil
}

// transportError takes the URL out of an error of net/http: the caller names
// it, without its query.
func transportError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the server did not answer in time: %w", context.DeadlineExceeded)
	}
	return err
}

// limited ends a stream with ErrTooLarge after limit bytes.
func limited(body io.ReadCloser, limit int64) io.ReadCloser {
	return &limitedBody{ReadCloser: body, left: limit, limit: limit}
}

type limitedBody struct {
	io.ReadCloser
	left, limit int64
}

func (l *limitedBody) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, failf(ErrTooLarge, "the server sends more than %d bytes", l.limit)
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
