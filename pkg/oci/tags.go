// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Limits of a list of tags.
const (
	pageSize     = 1000
	maxTags      = 1_000_000
	maxTagsBytes = 64 << 20
	maxPages     = 100_000
)

// Validator is what a registry recognises a list of tags by.
type Validator struct {
	// ETag of the only page.
	ETag string
}

// Tags returns all tags of a repository, in the order of the registry and
// without those that no registry can have. If cond is that of an earlier call
// and the list has not changed, it returns notModified and no tags. The
// Validator is nil where the registry offers none, or the list has several
// pages. At most 1,000,000 tags in 64 MiB are read; more are ErrTooLarge.
func (c *Client) Tags(ctx context.Context, repo Repository, access Access, cond *Validator) (
	tags []string, v *Validator, notModified bool, err error,
) {
	l := lister{client: c, request: request{repo: repo, access: access, method: http.MethodGet}, left: maxTagsBytes}
	l.path = fmt.Sprintf("tags/list?n=%d", pageSize)
	if cond != nil {
		l.header = http.Header{"If-None-Match": {cond.ETag}}
	}
	for more := true; more; {
		more, err = l.page(ctx)
		if err != nil {
			return nil, nil, false, fmt.Errorf("list the tags of %s: %w", repo, err)
		}
		l.header = nil
	}
	if l.unchanged && (cond == nil || l.pages > 0) {
		return nil, nil, false, failf(ErrMalformed, "list the tags of %s: the registry %s answered 304 to what was not asked for", repo, repo.host)
	}
	if l.unchanged {
		return nil, cond, true, nil
	}
	if l.pages == 1 && l.etag != "" {
		v = &Validator{ETag: l.etag}
	}
	return l.tags, v, false, nil
}

// lister collects the pages of a list of tags.
type lister struct {
	request

	client    *Client
	tags      []string
	first     string // tag of the page before
	etag      string
	left      int64
	pages     int
	unchanged bool
}

// page reads one page and says whether there is another one.
func (l *lister) page(ctx context.Context) (more bool, err error) {
	resp, err := l.client.do(ctx, l.request)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		l.unchanged = true
		return false, nil
	}
	before := len(l.tags)
	body := &countingReader{reader: io.LimitReader(resp.Body, l.left)}
	tags, listed, err := decodeTags(body, l.tags)
	if l.left -= body.count; l.left <= 0 || len(tags) > maxTags || l.pages >= maxPages {
		return false, failf(ErrTooLarge, "the list has more than %d tags or %d bytes", maxTags, maxTagsBytes)
	}
	if err != nil {
		return false, l.unreadable(err)
	}
	if l.pages++; l.pages == 1 {
		l.etag = resp.Header.Get("ETag")
	}
	next, err := nextPage(resp)
	if err != nil {
		return false, err
	}
	page := tags[before:]
	if l.pages > 1 && len(page) > 0 && page[0] == l.first {
		return false, nil // The registry does not know how to go on, and starts again.
	}
	l.tags, l.next = tags, next
	return l.turn(page, listed == pageSize), nil
}

// turn prepares for the page after this one and says whether there is one.
func (l *lister) turn(page []string, full bool) bool {
	if len(page) > 0 {
		l.first = page[0]
	}
	if l.next == nil && full && len(page) > 0 {
		// Some registries leave the pointer to the next page out.
		l.path = fmt.Sprintf("tags/list?n=%d&last=%s", pageSize, url.QueryEscape(page[len(page)-1]))
		return true
	}
	return l.next != nil
}

func (l *lister) unreadable(err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, errShape) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return failf(ErrMalformed, "the answer of the registry %s is not a list of tags, or ends in its middle", l.repo.host)
	}
	return networkError(l.repo.host, err)
}

// errShape means that JSON is not what it should be.
var errShape = errors.New("unexpected JSON")

// decodeTags reads one page, appends its tags to those at hand without holding
// the whole text, and returns how many the page listed.
func decodeTags(r io.Reader, tags []string) (all []string, listed int, err error) {
	decoder := json.NewDecoder(r)
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return tags, 0, errors.Join(errShape, err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return tags, listed, err
		}
		if key != "tags" {
			var other json.RawMessage
			if err := decoder.Decode(&other); err != nil {
				return tags, listed, err
			}
			continue
		}
		if tags, listed, err = decodeArray(decoder, tags, listed); err != nil {
			return tags, listed, err
		}
	}
	_, err = decoder.Token()
	return tags, listed, err
}

func decodeArray(decoder *json.Decoder, tags []string, listed int) ([]string, int, error) {
	switch opening, err := decoder.Token(); {
	case err != nil:
		return tags, listed, err
	case opening == nil:
		return tags, listed, nil
	case opening != json.Delim('['):
		return tags, listed, errShape
	}
	for decoder.More() {
		item, err := decoder.Token()
		if err != nil {
			return tags, listed, err
		}
		tag, ok := item.(string)
		if !ok {
			return tags, listed, errShape
		}
		if listed++; ValidTag(tag) {
			tags = append(tags, tag)
		}
		if len(tags) > maxTags {
			return tags, listed, errShape
		}
	}
	_, err := decoder.Token()
	return tags, listed, err
}

// nextPage returns the URL that an answer names as the next page, or nil. It
// is always of the registry that was asked: the token goes with it.
func nextPage(resp *http.Response) (*url.URL, error) {
	link := resp.Header.Get("Link")
	start, rest, found := strings.Cut(link, "<")
	target, parameters, closed := strings.Cut(rest, ">")
	if !found || !closed || strings.TrimSpace(start) != "" || target == "" {
		return nil, nil
	}
	if strings.Contains(parameters, "rel=") && !strings.Contains(parameters, "next") {
		return nil, nil
	}
	here := resp.Request.URL
	next, err := here.Parse(target)
	if err != nil || next.Host != here.Host || next.Scheme != here.Scheme || next.User != nil {
		return nil, failf(ErrMalformed, "the next page of the list of the registry %s is not at the registry itself", here.Host)
	}
	return next, nil
}

type countingReader struct {
	reader io.Reader
	count  int64
}

// Read counts what it passes on.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.count += int64(n)
	return n, err
}
