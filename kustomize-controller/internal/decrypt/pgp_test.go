// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGnuPG decrypts what gpg 2.2 has encrypted with keys that gpg has made. The keys protect nothing.
func TestGnuPG(t *testing.T) {
	for _, name := range []string{"gnupg-rsa2048", "gnupg-ed25519"} {
		t.Run(name, func(t *testing.T) {
			secret, err := os.ReadFile(filepath.Join("testdata", name+".asc"))
			if err != nil {
				t.Fatal(err)
			}
			message, err := os.ReadFile(filepath.Join("testdata", name+".message"))
			if err != nil {
				t.Fatal(err)
			}
			keys, err := ParseKeys("Secret 'team/keys'", map[string][]byte{"a.asc": secret})
			if err != nil {
				t.Fatal(err)
			}
			got, err := keys.decryptPGP(message)
			if err != nil || string(got) != "0123456789abcdef0123456789abcdef" {
				t.Errorf("decrypted %q, %v", got, err)
			}
		})
	}
}
