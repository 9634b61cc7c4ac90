// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package signing signs commits with OpenPGP and SSH keys.
package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// The keys of the Secrets.
const (
	keyOpenPGP    = "git.asc"
	keyPassphrase = "passphrase"
	keySSH        = "identity"
	keyPassword   = "password"
)

// minRSA is the least number of bits of an RSA key.
const minRSA = 2048

// ErrKey says that a Secret holds no key that commits can be signed with. The
// text names the Secret and its key, and never what it holds.
var ErrKey = errors.New("signing key not usable")

// keyError is an ErrKey.
type keyError struct{ text string }

func (e *keyError) Error() string { return e.text }

// Is lets errors.Is find the class.
func (e *keyError) Is(target error) bool { return target == ErrKey }

// Load returns a function that signs commits with the key in the Secret
// namespace/name: for gpg, also if kind is empty, the one in "git.asc", unlocked
// with "passphrase"; for ssh the one in "identity", unlocked with "password". It
// takes Ed25519, ECDSA, and RSA keys of at least 2048 bits. Errors are an ErrKey.
// The function returns an armored signature.
func Load(kind imagev1.SigningKeyType, secret map[string][]byte, namespace, name string) (sign func([]byte) (string, error), err error) {
	fail := func(key, format string, args ...any) error {
		return &keyError{fmt.Sprintf("the key '%s' of the Secret '%s/%s' ", key, namespace, name) + fmt.Sprintf(format, args...)}
	}
	switch kind {
	case imagev1.SigningKeyTypeGPG, "":
		return loadOpenPGP(secret, fail)
	case imagev1.SigningKeyTypeSSH:
		return loadSSH(secret, fail)
	}
	return nil, &keyError{fmt.Sprintf("'%s' is not a type of signing key: use gpg or ssh", kind)}
}

type failFunc func(key, format string, args ...any) error

func loadOpenPGP(secret map[string][]byte, fail failFunc) (func([]byte) (string, error), error) {
	if len(secret[keyOpenPGP]) == 0 {
		return nil, fail(keyOpenPGP, "is missing: it has to hold an armored OpenPGP private key")
	}
	// What the library says of a key that it cannot read may quote it.
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret[keyOpenPGP]))
	switch {
	case err != nil:
		return nil, fail(keyOpenPGP, "does not hold an armored OpenPGP private key")
	case len(ring) != 1:
		return nil, fail(keyOpenPGP, "has to hold exactly one OpenPGP key, and holds %d", len(ring))
	case ring[0].PrivateKey == nil:
		return nil, fail(keyOpenPGP, "holds a public key, and commits are signed with a private one")
	}
	entity := ring[0]
	key, found := entity.SigningKey(time.Now())
	if !found || key.PrivateKey == nil || key.PrivateKey.Dummy() {
		return nil, fail(keyOpenPGP, "holds no private key that may sign now: it may be expired, revoked, for other uses, or exported without its secret part")
	}
	if err := checkOpenPGP(key.PublicKey, fail); err != nil {
		return nil, err
	}
	if key.PrivateKey.Encrypted {
		if len(secret[keyPassphrase]) == 0 {
			return nil, fail(keyOpenPGP, "is locked with a passphrase, and the Secret has no '%s'", keyPassphrase)
		}
		if key.PrivateKey.Decrypt(secret[keyPassphrase]) != nil {
			return nil, fail(keyPassphrase, "does not unlock '%s'", keyOpenPGP)
		}
	}
	return func(payload []byte) (string, error) {
		var out bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&out, entity, bytes.NewReader(payload), nil); err != nil {
			return "", fail(keyOpenPGP, "cannot sign any more: it may have expired")
		}
		return out.String(), nil
	}, nil
}

func checkOpenPGP(key *packet.PublicKey, fail failFunc) error {
	switch key.PubKeyAlgo {
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoECDSA:
		return nil
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits, err := key.BitLength(); err != nil || bits < minRSA {
			return fail(keyOpenPGP, "holds an RSA key of %d bits, and less than %d are not secure", bits, minRSA)
		}
		return nil
	default:
		return fail(keyOpenPGP, "holds a key of a kind that is not supported: use Ed25519, ECDSA, or RSA")
	}
}

// checkSSH reports whether the private key is of a supported kind.
func checkSSH(key any, fail failFunc) error {
	switch key := key.(type) {
	case ed25519.PrivateKey, *ed25519.PrivateKey, *ecdsa.PrivateKey:
		return nil
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fail(keySSH, "holds an RSA key of %d bits, and less than %d are not secure", bits, minRSA)
		}
		return nil
	}
	return fail(keySSH, "holds a key of a kind that is not supported: use Ed25519, ECDSA, or RSA")
}
