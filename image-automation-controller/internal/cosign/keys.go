// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package cosign verifies that an image or artifact was signed by a key, in the
// formats that cosign writes: simple signing, under a tag or as a referrer, and
// Sigstore bundles. Certificates, transparency logs and timestamps are not
// looked at: what counts is the key.
package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Classes of errors.
var (
	// ErrKeys means that a Secret holds no usable public key.
	ErrKeys = errors.New("no usable public key")
	// ErrUnsigned means that there is no signature.
	ErrUnsigned = errors.New("not signed")
	// ErrMismatch means that there are signatures, and that none of them is by
	// one of the keys and for the digest.
	ErrMismatch = errors.New("no signature fits")
)

// minRSABits is the size below which RSA keys are refused.
const minRSABits = 2048

// Key is a public key that may sign.
type Key struct {
	// Name is the key of the Secret, such as cosign.pub.
	Name   string
	Public crypto.PublicKey
}

// Keys reads the PEM public keys of a Secret whose names end in .pub: ECDSA with
// P-256, P-384 or P-521, RSA of at least 2048 bits, and Ed25519. They come in
// the order of their names. Its error wraps ErrKeys and does not quote the
// Secret.
func Keys(secret map[string][]byte) ([]Key, error) {
	var names []string
	for name := range secret {
		if strings.HasSuffix(name, ".pub") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: there is no key whose name ends in '.pub'", ErrKeys)
	}
	slices.Sort(names)
	var keys []Key
	for _, name := range names {
		found := len(keys)
		for rest := secret[name]; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			public, err := parse(block)
			if err != nil {
				return nil, fmt.Errorf("%w: '%s' %w", ErrKeys, name, err)
			}
			keys = append(keys, Key{Name: name, Public: public})
		}
		if len(keys) == found {
			return nil, fmt.Errorf("%w: '%s' is not PEM", ErrKeys, name)
		}
	}
	return keys, nil
}

// parse reads one public key.
func parse(block *pem.Block) (crypto.PublicKey, error) {
	if block.Type != "PUBLIC KEY" {
		return nil, errors.New("is not a PEM block of the type PUBLIC KEY")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("is not a public key that can be read")
	}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			return nil, errors.New("is of a curve that is not supported: use P-256, P-384 or P-521")
		}
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("is an RSA key of less than %d bits", minRSABits)
		}
	case ed25519.PublicKey:
	default:
		return nil, errors.New("is of a kind that is not supported: use ECDSA, RSA or Ed25519")
	}
	return public, nil
}

// signed returns the name of the key that has signed message, or "".
func signed(keys []Key, message, signature []byte) string {
	for _, key := range keys {
		if verify(key.Public, message, signature) {
			return key.Name
		}
	}
	return ""
}

// verify says whether signature is one of message. cosign has always used
// SHA-256, and since version 3 the hash that goes with the size of the key.
func verify(public crypto.PublicKey, message, signature []byte) bool {
	short := sha256.Sum256(message)
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, short[:], signature) {
			return true
		}
		switch key.Curve {
		case elliptic.P384():
			sum := sha512.Sum384(message)
			return ecdsa.VerifyASN1(key, sum[:], signature)
		case elliptic.P521():
			sum := sha512.Sum512(message)
			return ecdsa.VerifyASN1(key, sum[:], signature)
		default:
			return false
		}
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, short[:], signature) == nil ||
			rsa.VerifyPSS(key, crypto.SHA256, short[:], signature, nil) == nil
	case ed25519.PublicKey:
		sum := sha512.Sum512(message)
		return ed25519.Verify(key, message, signature) ||
			ed25519.VerifyWithOptions(key, sum[:], signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
	default:
		return false
	}
}
