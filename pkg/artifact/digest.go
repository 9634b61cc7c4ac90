// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package artifact is how appliers get what sources offer: a tar.gz behind an
// in-cluster URL, with the digest that it must have.
package artifact

import (
	"crypto/sha1" //nolint:gosec // Sources may use it; the cache takes care that it keeps nobody's content from anybody.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"lukechampine.com/blake3"
)

const weakAlgorithm = "sha1"

// newHash returns a hash for one of the algorithms that sources can use, and
// nil for any other.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case weakAlgorithm:
		return sha1.New() //nolint:gosec // See the import.
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	case "blake3":
		return blake3.New(sha256.Size, nil)
	}
	return nil
}

// parseDigest returns the hash to compute and the sum that it must have. A
// digest without an algorithm is a SHA-256, as old sources write it.
func parseDigest(digest string) (hash.Hash, string, error) {
	if digest == "" {
		return nil, "", errors.New("the source gives no digest for its artifact")
	}
	algorithm, sum := splitDigest(digest)
	h := newHash(algorithm)
	if h == nil {
		return nil, "", fmt.Errorf("digest %q: the algorithm is none of sha1, sha256, sha384, sha512, blake3", digest)
	}
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != h.Size() {
		return nil, "", fmt.Errorf("digest %q is not %d bytes in hex", digest, h.Size())
	}
	return h, strings.ToLower(sum), nil
}

func splitDigest(digest string) (algorithm, sum string) {
	algorithm, sum, ok := strings.Cut(digest, ":")
	if !ok {
		return "sha256", digest
	}
	return algorithm, sum
}

// Shareable reports whether equal digests mean equal content, whoever made it.
// Two files with one SHA-1 can be made to order, so that of a tenant says
// nothing about that of another.
func Shareable(digest string) bool {
	algorithm, _ := splitDigest(digest)
	return algorithm != weakAlgorithm
}
