// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxDataKey is how many bytes an encrypted data key may unpack to. A real one has 32, and a share of one some more; a
// message that unpacks to gigabytes is an attack.
const maxDataKey = 4 << 10

// readArmored reads all armoured blocks of a file.
func readArmored(value []byte) (openpgp.EntityList, error) {
	const begin = "-----BEGIN PGP "
	parts := strings.Split(string(value), begin)
	var entities openpgp.EntityList
	for _, part := range parts[1:] {
		block, err := armor.Decode(strings.NewReader(begin + part))
		if err != nil {
			return nil, errors.New("it is not an armoured PGP key")
		}
		read, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, errors.New("its PGP key cannot be read")
		}
		entities = append(entities, read...)
	}
	if len(entities) == 0 {
		return nil, errors.New("it is not an armoured PGP key")
	}
	return entities, nil
}

// secretKeys returns the secret parts of a key and its subkeys that are there. gpg leaves a stub for one that is on a card
// or was left out.
func secretKeys(entity *openpgp.Entity) []*packet.PrivateKey {
	var secrets []*packet.PrivateKey
	add := func(secret *packet.PrivateKey) {
		if secret != nil && !secret.Dummy() {
			secrets = append(secrets, secret)
		}
	}
	add(entity.PrivateKey)
	for i := range entity.Subkeys {
		add(entity.Subkeys[i].PrivateKey)
	}
	return secrets
}

// openPGP decrypts a data key. SOPS can do the same only with a key ring on disk or with the program gpg, so this calls
// the library that SOPS itself calls.
func openPGP(ring openpgp.EntityList, ciphertext []byte) ([]byte, error) {
	block, err := armor.Decode(bytes.NewReader(ciphertext))
	if err != nil {
		return nil, errMalformed
	}
	message, err := openpgp.ReadMessage(block.Body, ring, nil, nil)
	if err != nil {
		return nil, errNoMatch
	}
	plain, err := io.ReadAll(io.LimitReader(message.UnverifiedBody, maxDataKey+1))
	if err != nil || len(plain) > maxDataKey {
		return nil, errMalformed
	}
	return plain, nil
}
