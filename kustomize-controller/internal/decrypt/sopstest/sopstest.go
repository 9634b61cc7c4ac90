// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package sopstest encrypts for tests, as the program sops does it.
package sopstest

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/pgp"
	"github.com/getsops/sops/v3/shamir"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	"github.com/getsops/sops/v3/stores/json"
	"github.com/getsops/sops/v3/stores/yaml"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
)

// DataKey is what Encrypt encrypts values with, and a key service has to return.
const DataKey = "0123456789abcdef0123456789abcdef"

// Encrypt returns what sops makes of a file in the given format, encrypted for any one of the keys. A key that has an
// encrypted data key already keeps it. encryptedRegex says which fields are encrypted; "" is all.
func Encrypt(tb testing.TB, in format.Format, plain, encryptedRegex string, masters ...keys.MasterKey) string {
	tb.Helper()
	dataKey := []byte(DataKey)
	for _, master := range masters {
		must(tb, master.EncryptIfNeeded(dataKey))
	}
	return encrypt(tb, in, plain, dataKey, sops.Metadata{EncryptedRegex: encryptedRegex, KeyGroups: []sops.KeyGroup{masters}})
}

// EncryptShared returns a file that takes all of the keys to decrypt.
func EncryptShared(tb testing.TB, in format.Format, plain string, masters ...keys.MasterKey) string {
	tb.Helper()
	dataKey := []byte("fedcba9876543210fedcba9876543210")
	shares, err := shamir.Split(dataKey, len(masters), len(masters))
	must(tb, err)
	metadata := sops.Metadata{ShamirThreshold: len(masters)}
	for i, master := range masters {
		must(tb, master.Encrypt(shares[i]))
		metadata.KeyGroups = append(metadata.KeyGroups, sops.KeyGroup{master})
	}
	return encrypt(tb, in, plain, dataKey, metadata)
}

func encrypt(tb testing.TB, in format.Format, plain string, dataKey []byte, metadata sops.Metadata) string {
	tb.Helper()
	store := storeFor(in)
	branches, err := store.LoadPlainFile([]byte(plain))
	must(tb, err)
	metadata.Version, metadata.LastModified = "3.13.3", time.Now().UTC()
	tree := sops.Tree{Branches: branches, Metadata: metadata}
	cipher := aes.NewCipher()
	mac, err := tree.Encrypt(dataKey, cipher)
	must(tb, err)
	tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(mac, dataKey, tree.Metadata.LastModified.Format(time.RFC3339))
	must(tb, err)
	out, err := store.EmitEncryptedFile(tree)
	must(tb, err)
	return string(out)
}

func storeFor(f format.Format) sops.Store {
	stores := config.NewStoresConfig()
	switch f {
	case format.YAML:
		return yaml.NewStore(&stores.YAML)
	case format.JSON:
		return json.NewStore(&stores.JSON)
	case format.Dotenv:
		return dotenv.NewStore(&stores.Dotenv)
	case format.INI:
		return ini.NewStore(&stores.INI)
	case format.Binary:
	}
	return json.NewBinaryStore(&stores.JSONBinary)
}

// Age returns a new age key: what to put into a Secret, and what to encrypt for.
func Age(tb testing.TB) (secret string, master keys.MasterKey) {
	tb.Helper()
	identity, err := age.GenerateX25519Identity()
	must(tb, err)
	return identity.String(), Recipient(tb, identity.Recipient().String())
}

// Hybrid returns a new age key that quantum computers do not break.
func Hybrid(tb testing.TB) (secret string, master keys.MasterKey) {
	tb.Helper()
	identity, err := age.GenerateHybridIdentity()
	must(tb, err)
	return identity.String(), Recipient(tb, identity.Recipient().String())
}

// Recipient returns the age key with a public name.
func Recipient(tb testing.TB, name string) keys.MasterKey {
	tb.Helper()
	master, err := sopsage.MasterKeyFromRecipient(name)
	must(tb, err)
	return master
}

// PGP returns a new PGP key: its secret parts, armoured, and what to encrypt for. A passphrase, if it is not "", protects
// the secret parts.
func PGP(tb testing.TB, passphrase string) (secret string, master keys.MasterKey) {
	tb.Helper()
	entity, err := openpgp.NewEntity("weir", "", "weir@example.com", nil)
	must(tb, err)
	public := &bytes.Buffer{}
	must(tb, entity.Serialize(public))
	ring := filepath.Join(tb.TempDir(), "pubring.gpg")
	must(tb, os.WriteFile(ring, public.Bytes(), 0o600))
	out := &bytes.Buffer{}
	w, err := armor.Encode(out, openpgp.PrivateKeyType, nil)
	must(tb, err)
	if passphrase == "" {
		must(tb, entity.SerializePrivate(w, nil))
	} else {
		must(tb, entity.EncryptPrivateKeys([]byte(passphrase), nil))
		must(tb, entity.SerializePrivateWithoutSigning(w, nil))
	}
	must(tb, w.Close())
	key := pgp.NewMasterKeyFromFingerprint(strings.ToUpper(hex.EncodeToString(entity.PrimaryKey.Fingerprint)))
	pgp.PubRing(ring).ApplyToMasterKey(key)
	return out.String() + "\n", key
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
