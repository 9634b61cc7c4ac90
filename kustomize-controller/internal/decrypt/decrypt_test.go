// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt_test

import (
	"bytes"
	"encoding/base64"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/sopstest"
)

const (
	password = "correct horse battery staple"
	from     = "Secret 'team/keys'"
)

// newDecrypter returns a Decrypter with the entries of a Secret.
func newDecrypter(t *testing.T, entries map[string]string) *decrypt.Decrypter {
	t.Helper()
	return newDecrypterAs(t, entries, decrypt.Account{Namespace: "team"})
}

func newDecrypterAs(t *testing.T, entries map[string]string, account decrypt.Account) *decrypt.Decrypter {
	t.Helper()
	data := map[string][]byte{}
	for name, value := range entries {
		data[name] = []byte(value)
	}
	keys, err := decrypt.ParseKeys(from, data)
	if err != nil {
		t.Fatal(err)
	}
	return decrypt.NewServices(decrypt.Config{Dial: (&net.Dialer{}).DialContext}).Decrypter(keys, account)
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var content map[string]any
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	return content
}

func TestWholeObjects(t *testing.T) {
	ageKey, ageMaster := sopstest.Age(t)
	hybridKey, hybridMaster := sopstest.Hybrid(t)
	pgpKey, pgpMaster := sopstest.PGP(t, "")
	otherKey, otherMaster := sopstest.Age(t)
	const plain = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\nstringData:\n  password: " + password + "\n  pin: '7'\n"
	const only = "^(data|stringData)$"

	for name, tc := range map[string]struct {
		sealed  string
		entries map[string]string
	}{
		"age":                     {sopstest.Encrypt(t, format.YAML, plain, only, ageMaster), map[string]string{"a.agekey": ageKey}},
		"age with comments":       {sopstest.Encrypt(t, format.YAML, plain, only, ageMaster), map[string]string{"a.agekey": "# me\n\n" + ageKey + "\n"}},
		"post-quantum age":        {sopstest.Encrypt(t, format.YAML, plain, only, hybridMaster), map[string]string{"a.agekey": hybridKey}},
		"the second of two keys":  {sopstest.Encrypt(t, format.YAML, plain, only, ageMaster), map[string]string{"a.agekey": otherKey, "b.agekey": ageKey}},
		"the second of two names": {sopstest.Encrypt(t, format.YAML, plain, only, otherMaster, ageMaster), map[string]string{"a.agekey": ageKey}},
		"PGP":                     {sopstest.Encrypt(t, format.YAML, plain, only, pgpMaster), map[string]string{"a.asc": pgpKey}},
		"two PGP keys in one":     {sopstest.Encrypt(t, format.YAML, plain, only, pgpMaster), map[string]string{"a.asc": anotherPGP(t) + pgpKey}},
		"PGP where age fails":     {sopstest.Encrypt(t, format.YAML, plain, only, otherMaster, pgpMaster), map[string]string{"a.asc": pgpKey, "a.agekey": ageKey}},
		"a key that takes two":    {sopstest.EncryptShared(t, format.YAML, plain, ageMaster, pgpMaster), map[string]string{"a.asc": pgpKey, "a.agekey": ageKey}},
	} {
		t.Run(name, func(t *testing.T) {
			sealed := object(t, tc.sealed)
			if text, _ := yaml.Marshal(sealed); strings.Contains(string(text), password) {
				t.Fatal("the object is not encrypted to begin with")
			}
			before, _ := yaml.Marshal(sealed)
			got, was, err := newDecrypter(t, tc.entries).Object(t.Context(), sealed)
			if err != nil || !was {
				t.Fatalf("Object: %t, %v", was, err)
			}
			if diff := cmp.Diff(object(t, plain), got); diff != "" {
				t.Errorf("decrypted (-want +got):\n%s", diff)
			}
			if after, _ := yaml.Marshal(sealed); !bytes.Equal(before, after) {
				t.Error("Object has changed its argument")
			}
		})
	}
}

func anotherPGP(t *testing.T) string {
	t.Helper()
	key, _ := sopstest.PGP(t, "")
	return key
}

// TestChangedByKustomize moves an encrypted Secret as kustomize does; what is encrypted stays where it was.
func TestChangedByKustomize(t *testing.T) {
	key, master := sopstest.Age(t)
	sealed := object(t, sopstest.Encrypt(t, format.YAML,
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\nstringData:\n  password: "+password+"\n", "^stringData$", master))
	sealed["metadata"] = map[string]any{"name": "prod-login", "namespace": "team"}
	got, _, err := newDecrypter(t, map[string]string{"a.agekey": key}).Object(t.Context(), sealed)
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: prod-login, namespace: team}\nstringData: {password: "+password+"}\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decrypted (-want +got):\n%s", diff)
	}
}

func TestSecretData(t *testing.T) {
	key, master := sopstest.Age(t)
	seal := func(in format.Format, plain string) string { return sopstest.Encrypt(t, in, plain, "", master) }
	for name, tc := range map[string]struct {
		entry, sealed, want string
	}{
		"binary":                 {"token", seal(format.Binary, "any\ntext"), "any\ntext"},
		"yaml":                   {"a.yaml", seal(format.YAML, "a: b\n"), "a: b\n"},
		"json":                   {"a.json", seal(format.JSON, `{"a":"b"}`), "{\n\t\"a\": \"b\"\n}\n"},
		"a pull secret":          {".dockerconfigjson", seal(format.JSON, `{"auths":{}}`), "{\n\t\"auths\": {}\n}\n"},
		"dotenv":                 {"prod.env", seal(format.Dotenv, "A=b\n"), "A=b\n"},
		"ini":                    {"a.ini", seal(format.INI, "[s]\na = b\n"), "[s]\na = b\n"},
		"yaml without extension": {"settings", seal(format.YAML, "a: b\n"), "a: b\n"},
		"json without extension": {"settings", seal(format.JSON, `{"a":"b"}`), "{\n\t\"a\": \"b\"\n}\n"},
		"yaml as json":           {"a.json", seal(format.YAML, "a: b\n"), "{\n\t\"a\": \"b\"\n}\n"},
		"not encrypted":          {"token", "plain", "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			secret := map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{
				tc.entry: base64.StdEncoding.EncodeToString([]byte(tc.sealed)), "other": "b3RoZXI=",
			}}
			got, was, err := newDecrypter(t, map[string]string{"a.agekey": key}).Object(t.Context(), secret)
			if err != nil {
				t.Fatal(err)
			}
			if was != (tc.sealed != tc.want) {
				t.Errorf("counts as encrypted: %t", was)
			}
			if !was {
				got = secret
			}
			data, _ := got["data"].(map[string]any)
			plain, _ := base64.StdEncoding.DecodeString(data[tc.entry].(string))
			if diff := cmp.Diff(tc.want, string(plain)); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
			if data["other"] != "b3RoZXI=" {
				t.Errorf("the other entry is %v", data["other"])
			}
		})
	}
}

func TestOnlySecretsHaveTheirDataLookedInto(t *testing.T) {
	key, master := sopstest.Age(t)
	sealed := base64.StdEncoding.EncodeToString([]byte(sopstest.Encrypt(t, format.Binary, password, "", master)))
	for _, kind := range []string{"ConfigMap", "Other"} {
		object := map[string]any{"apiVersion": "v1", "kind": kind, "data": map[string]any{"a": sealed}}
		if _, was, err := newDecrypter(t, map[string]string{"a.agekey": key}).Object(t.Context(), object); was || err != nil {
			t.Errorf("%s: %t, %v, want it left alone", kind, was, err)
		}
	}
}

func TestEnv(t *testing.T) {
	key, master := sopstest.Age(t)
	for name, sealed := range map[string]string{
		"dotenv": sopstest.Encrypt(t, format.Dotenv, "A=b\n", "", master),
		"binary": sopstest.Encrypt(t, format.Binary, "A=b\n", "", master),
		"yaml":   sopstest.Encrypt(t, format.YAML, "A: b\n", "", master),
	} {
		got, err := newDecrypter(t, map[string]string{"a.agekey": key}).Env(t.Context(), []byte(sealed))
		if err != nil || string(got) != "A=b\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
