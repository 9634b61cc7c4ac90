// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// maxReferrerPages bounds how many pages of referrers are read.
const maxReferrerPages = 10

// Referrers returns what refers to the manifest with a digest, by the API of
// registries that have it and by the tag that stands for it in others. It
// returns none if there are none. Nothing of it is checked: it only says where
// to look. Lists are cut after 10 pages of 4 MiB.
func (c *Client) Referrers(ctx context.Context, repo Repository, access Access, digest string) ([]Descriptor, error) {
	found, err := c.referrers(ctx, repo, access, digest)
	if err != nil {
		return nil, fmt.Errorf("list what refers to %s@%s: %w", repo, shorten(digest), err)
	}
	return found, nil
}

func (c *Client) referrers(ctx context.Context, repo Repository, access Access, digest string) ([]Descriptor, error) {
	if !ValidDigest(digest) {
		return nil, failf(ErrImage, "this is not a digest")
	}
	r := request{
		repo: repo, access: access, method: http.MethodGet, path: "referrers/" + digest,
		header: http.Header{"Accept": {MediaTypeIndex}},
	}
	var all []Descriptor
	for range maxReferrerPages {
		resp, err := c.do(ctx, r)
		if r.next == nil && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnsupported)) {
			return c.referrersTag(ctx, repo, access, digest)
		}
		if err != nil {
			return nil, err
		}
		body, err := read(resp, repo.host, maxManifest)
		if err != nil {
			return nil, err
		}
		index := &Content{}
		if err := json.Unmarshal(body, index); err != nil {
			return nil, failf(ErrMalformed, "the answer of the registry %s is not an index", repo.host)
		}
		all = append(all, index.Manifests...)
		if r.next, err = nextPage(resp); err != nil {
			return nil, err
		}
		if r.next == nil {
			break
		}
	}
	return all, nil
}

// referrersTag reads the tag sha256-<hex>.
func (c *Client) referrersTag(ctx context.Context, repo Repository, access Access, digest string) ([]Descriptor, error) {
	index, err := c.fetch(ctx, repo, access, strings.Replace(digest, ":", "-", 1))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return index.Manifests, nil
}
