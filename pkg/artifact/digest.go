// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package artifact is how appliers get what sources offer: a tar.gz behind an
// in-cluster URL, with the digest that it must have.
package artifact

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// parseDigest returns the hash to compute and the sum that it must have. A
// digest without an algorithm is a SHA-256, as old sources write it.
func parseDigest(digest string) (hash.Hash, string, error) {
	if digest == "" {
		return nil, "", errors.New("the source gives no digest for its artifact")
	}
	algorithm, sum, ok := strings.Cut(digest, ":")
	if !ok {
		algorithm, sum = "sha256", digest
	}
	hashes := map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}
	newHash, known := hashes[algorithm]
	if !known {
		return nil, "", fmt.Errorf("digest %q: the algorithm is none of sha256, sha384, sha512", digest)
	}
	h := newHash()
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != h.Size() {
		return nil, "", fmt.Errorf("digest %q is not %d bytes in hex", digest, h.Size())
	}
	return h, strings.ToLower(sum), nil
}
