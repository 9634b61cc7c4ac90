// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	// sshMagic begins both what is signed and the signature.
	sshMagic = "SSHSIG"
	// sshNamespace keeps signatures for Git from being taken for others.
	sshNamespace = "git"
	sshHash      = "sha512"
	sshVersion   = 1
	// sshLine is how many characters of the armor are on one line.
	sshLine = 70
)

func loadSSH(secret map[string][]byte, fail failFunc) (func([]byte) (string, error), error) {
	if len(secret[keySSH]) == 0 {
		return nil, fail(keySSH, "is missing: it has to hold a private key in the format of OpenSSH or PEM")
	}
	key, err := ssh.ParseRawPrivateKey(secret[keySSH])
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		if len(secret[keyPassword]) == 0 {
			return nil, fail(keySSH, "is locked with a passphrase, and the Secret has no '%s'", keyPassword)
		}
		if key, err = ssh.ParseRawPrivateKeyWithPassphrase(secret[keySSH], secret[keyPassword]); err != nil {
			return nil, fail(keyPassword, "does not unlock '%s'", keySSH)
		}
	}
	if err != nil {
		return nil, fail(keySSH, "does not hold a private key in the format of OpenSSH or PEM")
	}
	if err := checkSSH(key, fail); err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, fail(keySSH, "holds a key that cannot sign")
	}
	return func(payload []byte) (string, error) { return signSSH(signer, payload) }, nil
}

// signSSH makes a signature as ssh-keygen -Y sign does.
func signSSH(signer ssh.Signer, payload []byte) (string, error) {
	sum := sha512.Sum512(payload)
	signed := append([]byte(sshMagic), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{sshNamespace, "", sshHash, string(sum[:])})...)
	var (
		signature *ssh.Signature
		err       error
	)
	if algorithms, ok := signer.(ssh.AlgorithmSigner); ok && signer.PublicKey().Type() == ssh.KeyAlgoRSA {
		// The name of the key stands for SHA-1 too, which verifiers refuse.
		signature, err = algorithms.SignWithAlgorithm(rand.Reader, signed, ssh.KeyAlgoRSASHA512)
	} else {
		signature, err = signer.Sign(rand.Reader, signed)
	}
	if err != nil {
		return "", fmt.Errorf("sign with an SSH key: %w", err)
	}
	blob := append([]byte(sshMagic), ssh.Marshal(struct {
		Version                                         uint32
		PublicKey, Namespace, Reserved, Hash, Signature string
	}{sshVersion, string(signer.PublicKey().Marshal()), sshNamespace, "", sshHash, string(ssh.Marshal(signature))})...)
	var b strings.Builder
	b.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for encoded := base64.StdEncoding.EncodeToString(blob); encoded != ""; {
		n := min(sshLine, len(encoded))
		b.WriteString(encoded[:n] + "\n")
		encoded = encoded[n:]
	}
	b.WriteString("-----END SSH SIGNATURE-----\n")
	return b.String(), nil
}
