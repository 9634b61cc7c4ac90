// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/dial"
)

const (
	// callTimeout bounds one request.
	callTimeout = 30 * time.Second
	// maxAnswer bounds one answer: a page of pull requests with long bodies.
	maxAnswer = 32 << 20
	// maxComplaint is how much of the answer to a refused request is read.
	maxComplaint = 64 << 10
	// pageSize is what all forges give at once.
	pageSize = 50
	// maxPages bounds a list.
	maxPages = 20
)

// api sends requests to one forge.
type api struct {
	location
	http   *http.Client
	header http.Header
}

// call is one request.
type call struct {
	// doing is for errors: "open a pull request in a/b".
	doing  string
	method string
	// path is below the base of the API, escaped.
	path  string
	query url.Values
	// body is sent as JSON, and into filled from the answer, unless nil.
	body, into any
}

func newAPI(at location, o Options) (*api, error) {
	client, err := o.Dialer.HTTP(dial.Client{Origin: at.api, CA: o.CA})
	if err != nil {
		return nil, &Error{Class: ErrRejected, text: fmt.Sprintf("the certificates for %s: %s", at.api.Host, err)}
	}
	client.CheckRedirect = stay(client.CheckRedirect)
	a := &api{location: at, http: client, header: http.Header{
		"User-Agent": {"weir"}, "Accept": {"application/json"}, "Authorization": {"Bearer " + strings.TrimSpace(o.Token)},
	}}
	switch o.Provider {
	case imagev1.ForgeGitLab:
	case imagev1.ForgeGitHub:
		a.header.Set("Accept", "application/vnd.github+json")
		a.header.Set("X-Github-Api-Version", "2022-11-28")
	case imagev1.ForgeGitea:
		a.header.Set("Authorization", "token "+strings.TrimSpace(o.Token))
	}
	return a, nil
}

// movedError says that a redirect is not followed.
type movedError struct{ why string }

func (e *movedError) Error() string { return e.why }

// stay refuses redirects to another host, for which there would be no token,
// and those after which a request would be another one.
func stay(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		switch first := via[0]; {
		case req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host:
			return &movedError{"redirects to another host, where the token is not sent; correct the repository's URL or apiURL"}
		case req.Method != first.Method:
			return &movedError{"says that the repository has moved; correct its URL"}
		}
		return next(req, via)
	}
}

// do sends a request and reports whether a list has another page.
func (a *api) do(ctx context.Context, c call) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := a.request(ctx, c)
	if err != nil {
		return false, err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return false, a.unreachable(ctx, c, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
		return false, classify(c.doing, a.location.api.Host, resp, string(text), time.Now())
	}
	if c.into == nil {
		return false, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return false, a.unreachable(ctx, c, err)
	case len(data) > maxAnswer:
		return false, a.unavailable(c, fmt.Sprintf("the answer of %s has more than %d bytes", a.location.api.Host, maxAnswer))
	case json.Unmarshal(data, c.into) != nil:
		return false, a.unavailable(c, fmt.Sprintf("the answer of %s is not that of its API; check apiURL", a.location.api.Host))
	}
	return strings.Contains(resp.Header.Get("Link"), `rel="next"`), nil
}

func (a *api) request(ctx context.Context, c call) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if c.body != nil {
		data, err := json.Marshal(c.body)
		if err != nil {
			return nil, fmt.Errorf("%s: encode the request: %w", c.doing, err)
		}
		body = bytes.NewReader(data)
	}
	target := a.location.api.String() + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, body)
	if err != nil {
		return nil, a.unavailable(c, "the URL of the API is not valid")
	}
	req.Header = a.header.Clone()
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (a *api) unavailable(c call, why string) error {
	return &Error{Class: ErrUnavailable, text: c.doing + ": " + why}
}

// unreachable words the failure of a connection, without the URL that
// net/http puts before it.
func (a *api) unreachable(ctx context.Context, c call, err error) error {
	if moved, ok := errors.AsType[*movedError](err); ok {
		return &Error{Class: ErrRejected, text: fmt.Sprintf("%s: %s %s", c.doing, a.location.api.Host, moved.why)}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return a.unavailable(c, a.location.api.Host+" did not answer in time")
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", c.doing, ctx.Err())
	case errors.Is(err, dial.ErrRefused):
		return &Error{Class: ErrRejected, text: c.doing + ": " + err.Error()}
	}
	return a.unavailable(c, err.Error())
}

// pages reads a list page by page, as far as maxPages, until take returns
// false.
func pages[T any](ctx context.Context, a *api, c call, limit string, take func([]T) bool) error {
	for page := 1; page <= maxPages; page++ {
		var items []T
		c.query.Set("page", strconv.Itoa(page))
		c.query.Set(limit, strconv.Itoa(pageSize))
		c.into = &items
		more, err := a.do(ctx, c)
		if err != nil {
			return err
		}
		if !take(items) || !more {
			return nil
		}
	}
	return nil
}
