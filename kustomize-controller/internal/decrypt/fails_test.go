// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hckms"
	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/kms"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/sopstest"
)

// given returns a key whose service is not there, with an encrypted data key.
func given(master keys.MasterKey) keys.MasterKey {
	master.SetEncryptedDataKey([]byte("Y2lwaGVydGV4dA"))
	return master
}

func TestKeysThatDoNotFit(t *testing.T) {
	ageKey, _ := sopstest.Age(t)
	_, otherAge := sopstest.Age(t)
	pgpKey, _ := sopstest.PGP(t, "")
	_, otherPGP := sopstest.PGP(t, "")
	vault := given(hcvault.NewMasterKey("https://user:secret@vault.example", "transit", "weir"))
	aws := given(kms.NewMasterKey("arn:aws:kms:evil.example/:1:key/a", "", nil))
	azure := given(azkv.NewMasterKey("http://vault.example", "weir", "1"))
	gcp := given(gcpkms.NewMasterKeyFromResourceID("projects/p/locations/l/keyRings/r/cryptoKeys/k"))
	huawei, err := hckms.NewMasterKey("region:0")
	if err != nil {
		t.Fatal(err)
	}

	for name, tc := range map[string]struct {
		masters []keys.MasterKey
		entries map[string]string
		want    []string
	}{
		"another age key": {
			[]keys.MasterKey{otherAge}, map[string]string{"a.agekey": ageKey},
			[]string{"tried age " + otherAge.ToString() + ": it is not among the age keys of Secret 'team/keys'"},
		},
		"no age key": {
			[]keys.MasterKey{otherAge}, map[string]string{"a.asc": pgpKey},
			[]string{"age " + otherAge.ToString() + ": Secret 'team/keys' has no *.agekey entry"},
		},
		"another PGP key": {
			[]keys.MasterKey{otherPGP}, map[string]string{"a.asc": pgpKey},
			[]string{"PGP " + otherPGP.ToString() + ": it is not among the PGP keys of Secret 'team/keys'"},
		},
		"several": {
			[]keys.MasterKey{otherPGP, otherAge}, nil,
			[]string{"tried age ", "has no *.agekey entry; PGP ", "has no *.asc entry"},
		},
		"Vault without a token, and with a password in its address": {
			[]keys.MasterKey{vault}, nil, []string{"Vault https://vault.example/v1/transit/keys/weir: its address has to begin with"},
		},
		"AWS in no region":       {[]keys.MasterKey{aws}, nil, []string{"AWS KMS arn:aws:kms:evil.example/:1:key/a: it is not the ARN of a key"}},
		"Azure without TLS":      {[]keys.MasterKey{azure}, nil, []string{"Azure Key Vault http://vault.example/keys/weir: its address has to begin with https://"}},
		"GCP as another account": {[]keys.MasterKey{gcp}, nil, []string{`this version cannot show the identity of service account "team/robot" to GCP; put sops.gcp-kms into`}},
		"a service that is not built": {
			[]keys.MasterKey{given(huawei)}, nil, []string{"HuaweiCloud KMS region:0: this controller has no access to that service"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sealed := sopstest.Encrypt(t, format.YAML, "apiVersion: v1\nkind: Secret\ndata:\n  a: "+password+"\n", "^data$", tc.masters...)
			d := newDecrypterAs(t, tc.entries, decrypt.Account{Namespace: "team", Name: "robot"})
			_, _, err := d.Object(t.Context(), object(t, sealed))
			if _, ok := errors.AsType[*decrypt.KeyError](err); !ok {
				t.Fatalf("error %v, want a KeyError", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
			assertQuotesNothing(t, err, sealed)
			_, _, again := d.Object(t.Context(), object(t, sealed))
			if again == nil || again.Error() != err.Error() {
				t.Errorf("the second time the error is %v", again)
			}
		})
	}
}

// assertQuotesNothing fails if an error holds a password, or a word of what was encrypted that is long enough to be
// ciphertext.
func assertQuotesNothing(t *testing.T, err error, sealed string) {
	t.Helper()
	for _, secret := range []string{"secret@", password, "ENC[", "BEGIN", "AGE-SECRET"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds %q", err, secret)
		}
	}
	for line := range strings.Lines(sealed) {
		line = strings.TrimSpace(line)
		if len(line) >= 40 && !strings.Contains(line, "recipient:") && strings.Contains(err.Error(), line) {
			t.Errorf("error %q holds the line %q", err, line)
		}
	}
}

func TestManyKeysAreNotAllListed(t *testing.T) {
	var masters []keys.MasterKey
	for range 8 {
		_, master := sopstest.Age(t)
		masters = append(masters, master)
	}
	_, _, err := newDecrypter(t, nil).Object(t.Context(), object(t, sopstest.Encrypt(t, format.YAML, "a: b\n", "", masters...)))
	if err == nil || strings.Count(err.Error(), "age1") != 5 || !strings.HasSuffix(err.Error(), "and 3 more") {
		t.Errorf("error %v, want five keys and how many more", err)
	}
}

func TestDamagedFiles(t *testing.T) {
	key, master := sopstest.Age(t)
	yaml := sopstest.Encrypt(t, format.YAML, "a: "+password+"\nb: other\n", "", master)
	json := sopstest.Encrypt(t, format.JSON, `{"a": "`+password+`"}`, "", master)
	many := strings.Repeat("    - recipient: x\n      enc: y\n", 101)
	for name, tc := range map[string]struct{ sealed, want string }{
		"a changed value":          {strings.Replace(yaml, "ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1), "a value in it was changed or moved"},
		"a moved value":            {strings.Replace(yaml, "b: ENC", "c: ENC", 1), "a value in it was changed or moved"},
		"a value in plain":         {strings.Replace(yaml, "b: ENC[AES256_GCM", "b: "+password+"x", 1), "a value in it was changed or moved"},
		"JSON cut short":           {json[:len(json)-20] + "", "it is not valid JSON"},
		"JSON that never ends":     {`{"a": ` + strings.Repeat("[", 2<<20) + `"mac": "ENC[`, "it is not valid JSON"},
		"YAML that explodes":       {"x: &x [a, a]\ny: [*x, *x]\n" + yaml, "it has YAML aliases"},
		"YAML with metadata twice": {yaml + "---\nsops: 1\n\"\\x73ops\": 2\n", "it has SOPS' metadata twice"},
		"many values":              {`{"x": [` + strings.Repeat("0,", 20_000) + "0]," + json[1:], "it has more than 20000 values"},
		"deep values":              {`{"x": ` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + "," + json[1:], "it is nested more than 100 deep"},
		"a costly expression":      {strings.Replace(yaml, "version:", "encrypted_regex: (x{1000}){500}\n    version:", 1), "a regular expression in its metadata"},
		"much metadata":            {"sops_mac=ENC[\n" + strings.Repeat("sops_x=\n", 10_001), "it has more than 10000 lines of SOPS' own"},
		"YAML that is a list":      {"- sops:\n" + "sops: {mac: ENC[}\n", "it is not valid YAML"},
		"metadata of another":      {"a: b\nsops:\n  mac: ENC[\n  age: 7\n", "it is damaged"},
		"no keys at all":           {"a: b\nsops:\n    lastmodified: \"2026-11-01T00:00:00Z\"\n    mac: ENC[\n    version: 3.13.3\n    key_groups: [{}]\n", "it was encrypted for no key at all"},
		"more keys than allowed":   {"a: b\nsops:\n    lastmodified: \"2026-11-01T00:00:00Z\"\n    mac: ENC[\n    version: 3.13.3\n    age:\n" + many, "it is encrypted for 101 keys, and may be for 100"},
		"too large":                {yaml + "# " + strings.Repeat("x", format.MaxBytes), fmt.Sprintf("may have %d", format.MaxBytes)},
		"dotenv without a value":   {"sops_mac=ENC[\n" + password + "\n", "it is damaged"},
		"not encrypted":            {"a: b\n", "it is not encrypted with SOPS"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newDecrypter(t, map[string]string{"a.agekey": key}).File(t.Context(), []byte(tc.sealed), "file")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %.300v, want %q in it", err, tc.want)
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "ENC[") {
				t.Errorf("error %q quotes the file", err)
			}
		})
	}
}

func TestDecryptionEndsWithItsContext(t *testing.T) {
	_, master := sopstest.Age(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newDecrypter(t, nil).File(ctx, []byte(sopstest.Encrypt(t, format.YAML, "a: b\n", "", master)), "file")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestEntriesThatAreNoKeys(t *testing.T) {
	locked, _ := sopstest.PGP(t, "passphrase")
	for name, tc := range map[string]struct{ entry, value, want string }{
		"age":                    {"a.agekey", "AGE-SECRET-KEY-1" + password, "age identities"},
		"a plugin of age":        {"a.agekey", "AGE-PLUGIN-YUBIKEY-1QQQ", "age identities"},
		"no age key":             {"a.agekey", "", "age identities"},
		"PGP":                    {"a.asc", password, "not an armoured PGP key"},
		"a locked PGP key":       {"a.asc", locked, "protected by a passphrase"},
		"an empty token":         {"sops.vault-token", " \n", "empty"},
		"half a credential":      {"sops.aws-kms", "aws_access_key_id: " + password, "aws_secret_access_key"},
		"no tenant":              {"sops.azure-kv", "clientId: a\nclientSecret: " + password, "tenantId"},
		"an authority in plain":  {"sops.azure-kv", "clientId: a\nauthorityHost: http://" + password, "https://"},
		"a file of this machine": {"sops.gcp-kms", `{"type": "external_account", "credential_source": {"file": "/etc/passwd"}}`, "service_account"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decrypt.ParseKeys(from, map[string][]byte{tc.entry: []byte(tc.value)})
			want := fmt.Sprintf("the entry %q of Secret 'team/keys': ", tc.entry)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q and %q in it", err, want, tc.want)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("error %q holds the value", err)
			}
		})
	}
	if _, err := decrypt.ParseKeys(from, map[string][]byte{"README": []byte("anything")}); err != nil {
		t.Errorf("an entry of another name: %v", err)
	}
}
