// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// objects is a reader of the Secrets and service accounts of one namespace.
type objects struct {
	client.Reader
	secrets  map[string]map[string]string
	accounts map[string][]string
}

// Get reads one object.
func (o objects) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	switch into := into.(type) {
	case *corev1.Secret:
		data, found := o.secrets[key.Name]
		if !found || key.Namespace != "ns" {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
		}
		into.Data = map[string][]byte{}
		for name, value := range data {
			into.Data[name] = []byte(value)
		}
	case *corev1.ServiceAccount:
		refs, found := o.accounts[key.Name]
		if !found || key.Namespace != "ns" {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"}, key.Name)
		}
		for _, ref := range refs {
			into.ImagePullSecrets = append(into.ImagePullSecrets, corev1.LocalObjectReference{Name: ref})
		}
	}
	return nil
}

func TestReadAccess(t *testing.T) {
	t.Parallel()
	reader := objects{
		secrets: map[string]map[string]string{
			"ghcr":    {".dockerconfigjson": `{"auths":{"ghcr.io":{"username":"u","password":"p"}}}`},
			"auth":    {".dockerconfigjson": `{"auths":{"https://ghcr.io/v1/":{"auth":"dTpw"}}}`},
			"old":     {".dockercfg": `{"ghcr.io":{"auth":"dTpw"}}`},
			"tokens":  {".dockerconfigjson": `{"auths":{"ghcr.io":{"identitytoken":"i","registrytoken":"r"}}}`},
			"paths":   {".dockerconfigjson": `{"auths":{"*.io":{"username":"glob"},"ghcr.io":{"username":"host"},"ghcr.io/team":{"username":"team"},"ghcr.io/te":{"username":"te"}}}`},
			"other":   {".dockerconfigjson": `{"auths":{"quay.io":{"username":"secret","password":"secret"}}}`},
			"broken":  {".dockerconfigjson": `{"auths":{"ghcr.io":{"auth":"secret-that-is-no-base64"}}}`},
			"no JSON": {".dockerconfigjson": `secret`},
			"opaque":  {"username": "secret"},
			"certs":   {"ca.crt": "ca", "tls.crt": "crt", "tls.key": "key"},
			"legacy":  {"caFile": "ca", "certFile": "crt", "keyFile": "key"},
			"half":    {"tls.crt": "crt"},
			"proxy":   {"address": "http://proxy.example.com:3128/x?y", "username": "u", "password": "p"},
			"socks":   {"address": "socks5://secret"},
		},
		accounts: map[string][]string{"sa": {"missing", "other", "ghcr"}, "none": {"other"}, "odd": {"broken"}},
	}
	proxy := &url.URL{Scheme: "http", Host: "proxy.example.com:3128", User: url.UserPassword("u", "p")}
	tests := map[string]struct {
		in   Reference
		want Access
		err  string
	}{
		"nothing":       {want: Access{}},
		"insecure":      {in: Reference{Insecure: true, Provider: "generic"}, want: Access{Insecure: true}},
		"password":      {in: Reference{SecretRef: "ghcr"}, want: Access{Username: "u", Password: "p"}},
		"auth":          {in: Reference{SecretRef: "auth"}, want: Access{Username: "u", Password: "p"}},
		"old":           {in: Reference{SecretRef: "old"}, want: Access{Username: "u", Password: "p"}},
		"tokens":        {in: Reference{SecretRef: "tokens"}, want: Access{IdentityToken: "i", RegistryToken: "r"}},
		"longest path":  {in: Reference{SecretRef: "paths"}, want: Access{Username: "team"}},
		"account":       {in: Reference{ServiceAccountName: "sa"}, want: Access{Username: "u", Password: "p"}},
		"no pull auth":  {in: Reference{ServiceAccountName: "none"}, want: Access{}},
		"secret wins":   {in: Reference{SecretRef: "ghcr", ServiceAccountName: "odd"}, want: Access{Username: "u", Password: "p"}},
		"certificates":  {in: Reference{CertSecretRef: "certs"}, want: Access{CA: []byte("ca"), Certificate: []byte("crt"), PrivateKey: []byte("key")}},
		"legacy names":  {in: Reference{CertSecretRef: "legacy"}, want: Access{CA: []byte("ca"), Certificate: []byte("crt"), PrivateKey: []byte("key")}},
		"proxy":         {in: Reference{ProxySecretRef: "proxy"}, want: Access{Proxy: proxy}},
		"cloud":         {in: Reference{Provider: "aws"}, err: "provider 'aws' is not supported: use 'generic' with a 'secretRef' whose Secret holds credentials for the registry"},
		"no Secret":     {in: Reference{SecretRef: "x"}, err: "the Secret 'ns/x' does not exist"},
		"no account":    {in: Reference{ServiceAccountName: "x"}, err: "the service account 'ns/x' does not exist"},
		"other host":    {in: Reference{SecretRef: "other"}, err: "the Secret 'ns/other' holds no credentials for 'ghcr.io'"},
		"broken":        {in: Reference{SecretRef: "broken"}, err: "the Secret 'ns/broken' cannot be used: its entry for 'ghcr.io' is not valid"},
		"broken of sa":  {in: Reference{ServiceAccountName: "odd"}, err: "the Secret 'ns/broken' of the service account 'odd' cannot be used: its entry for 'ghcr.io' is not valid"},
		"no JSON":       {in: Reference{SecretRef: "no JSON"}, err: "the Secret 'ns/no JSON' cannot be used: '.dockerconfigjson' is not valid JSON of its kind"},
		"opaque":        {in: Reference{SecretRef: "opaque"}, err: "the Secret 'ns/opaque' cannot be used: it has no key '.dockerconfigjson'"},
		"half a pair":   {in: Reference{CertSecretRef: "half"}, err: "the Secret 'ns/half' holds only one of 'tls.crt' and 'tls.key'"},
		"no certs":      {in: Reference{CertSecretRef: "ghcr"}, err: "the Secret 'ns/ghcr' holds neither 'ca.crt' nor 'tls.crt' and 'tls.key'"},
		"no address":    {in: Reference{ProxySecretRef: "ghcr"}, err: "the Secret 'ns/ghcr' for the proxy has no key 'address'"},
		"another proxy": {in: Reference{ProxySecretRef: "socks"}, err: "the 'address' in the Secret 'ns/socks' is not the URL of an HTTP proxy"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadAccess(t.Context(), reader, "ns", repository(t, "ghcr.io/team/model"), tc.in)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err || !errors.Is(err, ErrAuthentication) && !errors.Is(err, ErrUnsupported) {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(url.Userinfo{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOwnAccess(t *testing.T) {
	t.Parallel()
	dir, repo := t.TempDir(), repository(t, "alpine")
	if got, err := OwnAccess(dir, repo, Access{Insecure: true}); err != nil || !got.Insecure || !got.anonymous() {
		t.Errorf("no file: %v, %v", got, err)
	}
	config := `{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}},"credHelpers":{"gcr.io":"gcloud"}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := OwnAccess(dir, repo, Access{Insecure: true}); err != nil || got.Username != "u" || !got.Insecure {
		t.Errorf("%v, %v, want the user u", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OwnAccess(dir, repo, Access{}); !errors.Is(err, ErrAuthentication) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want ErrAuthentication without the content", err)
	}
}

func TestMatchHost(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"docker.io": true, "index.docker.io": true, "registry-1.docker.io": true, "*.docker.io": true, "*.*.io": true,
		"*.io": false, "ghcr.io": false, "": false, "*": false, "[.docker.io": false,
	} {
		if got := matchHost(pattern, "index.docker.io"); got != want {
			t.Errorf("%q: %v, want %v", pattern, got, want)
		}
	}
}
