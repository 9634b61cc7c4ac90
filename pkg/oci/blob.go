// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
)

// Open streams the blob with a digest, which may have at most limit bytes. What
// is read is to be trusted only when Read has returned io.EOF: a blob with
// another digest, or with more bytes, ends in ErrMalformed or ErrTooLarge
// instead. The caller closes the reader; ctx bounds the whole of the reading.
// Nothing of it is kept.
func (c *Client) Open(ctx context.Context, repo Repository, access Access, digest string, limit int64) (io.ReadCloser, error) {
	blob, err := c.open(ctx, repo, access, digest, limit)
	if err != nil {
		return nil, blobError(repo, digest, err)
	}
	return blob, nil
}

func (c *Client) open(ctx context.Context, repo Repository, access Access, digest string, limit int64) (io.ReadCloser, error) {
	if !ValidDigest(digest) {
		return nil, failf(ErrMalformed, "only digests of the kind sha256 are read")
	}
	resp, err := c.do(ctx, request{repo: repo, access: access, method: http.MethodGet, path: "blobs/" + digest})
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > limit {
		_ = resp.Body.Close()
		return nil, tooLarge(repo.host, limit)
	}
	return &blobReader{body: resp.Body, hash: sha256.New(), repo: repo, digest: digest, limit: limit, left: limit}, nil
}

// blobReader checks what it passes on.
type blobReader struct {
	body        io.ReadCloser
	hash        hash.Hash
	repo        Repository
	digest      string
	limit, left int64
	failed      error
}

// Read returns io.EOF only at the end of the right blob.
func (b *blobReader) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	n, err := b.body.Read(p)
	_, _ = b.hash.Write(p[:n])
	b.left -= int64(n)
	switch {
	case b.left < 0:
		n, err = 0, blobError(b.repo, b.digest, tooLarge(b.repo.host, b.limit))
	case errors.Is(err, io.EOF):
		if got := "sha256:" + hex.EncodeToString(b.hash.Sum(nil)); got != b.digest {
			err = blobError(b.repo, b.digest, otherDigest(b.repo.host, got))
		}
	case err != nil:
		err = blobError(b.repo, b.digest, networkError(b.repo.host, err))
	}
	b.failed = err
	return n, err
}

// Close ends the reading.
func (b *blobReader) Close() error { return b.body.Close() }

func blobError(repo Repository, digest string, err error) error {
	return fmt.Errorf("read the blob %s of %s: %w", shorten(digest), repo, err)
}

func tooLarge(host string, limit int64) error {
	return failf(ErrTooLarge, "the answer of the registry %s has more than %d bytes", host, limit)
}

func otherDigest(host, got string) error {
	return failf(ErrMalformed, "the registry %s sent a blob with another digest, %s", host, got)
}
