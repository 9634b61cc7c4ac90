// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	sopsage "github.com/getsops/sops/v3/age"
)

// Names of the entries of a Secret with keys. Private keys go by the end of the name, and there may be any number.
const (
	ageSuffix  = ".agekey"
	pgpSuffix  = ".asc"
	vaultEntry = "sops.vault-token"
	awsEntry   = "sops.aws-kms"
	azureEntry = "sops.azure-kv"
	gcpEntry   = "sops.gcp-kms"
)

// Keys are the private keys and the credentials of one Secret.
type Keys struct {
	// from names the Secret, for errors.
	from string

	age        sopsage.ParsedIdentities
	pgp        openpgp.EntityList
	vaultToken string
	aws        *awsCredentials
	azure      *azureCredentials
	gcp        []byte
}

// ParseKeys reads the data of the Secret that from names; other entries are ignored. Its errors name the entry and hold
// nothing of its value.
func ParseKeys(from string, data map[string][]byte) (*Keys, error) {
	k := &Keys{from: from}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if err := k.add(name, data[name]); err != nil {
			return nil, fmt.Errorf("the entry %q of %s: %w", name, from, err)
		}
	}
	return k, nil
}

// AgeOnly returns the entries of a Secret that hold age keys.
func AgeOnly(data map[string][]byte) map[string][]byte {
	kept := map[string][]byte{}
	for name, value := range data {
		if strings.HasSuffix(name, ageSuffix) {
			kept[name] = value
		}
	}
	return kept
}

func (k *Keys) add(name string, value []byte) (err error) {
	switch {
	case strings.HasSuffix(name, ageSuffix):
		return k.addAge(value)
	case strings.HasSuffix(name, pgpSuffix):
		return k.addPGP(value)
	case name == vaultEntry:
		k.vaultToken = string(bytes.TrimSpace(value))
		if k.vaultToken == "" {
			return errors.New("it is empty")
		}
	case name == awsEntry:
		k.aws, err = parseAWS(value)
	case name == azureEntry:
		k.azure, err = parseAzure(value)
	case name == gcpEntry:
		k.gcp, err = parseGCP(value)
	}
	return err
}

// addAge adds age identities, one a line. Those of plugins are refused: age would run a program that they name.
func (k *Keys) addAge(value []byte) error {
	identities, err := age.ParseIdentities(bytes.NewReader(value))
	if err != nil {
		return errors.New("it has to hold age identities, one a line, that begin with AGE-SECRET-KEY-1 or AGE-SECRET-KEY-PQ-1")
	}
	k.age = append(k.age, identities...)
	return nil
}

// addPGP adds the secret keys of an armoured file, which may have several blocks.
func (k *Keys) addPGP(value []byte) error {
	entities, err := readArmored(value)
	if err != nil {
		return err
	}
	usable := false
	for _, entity := range entities {
		for _, secret := range secretKeys(entity) {
			if secret.Encrypted {
				return errors.New("the key is protected by a passphrase, and nobody is there to type it; export one without")
			}
			usable = true
		}
	}
	if !usable {
		return errors.New("it holds no secret key; export it with gpg --export-secret-keys --armor")
	}
	k.pgp = append(k.pgp, entities...)
	return nil
}
