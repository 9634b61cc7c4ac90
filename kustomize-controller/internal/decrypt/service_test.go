// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getsops/sops/v3/keyservice"

	"github.com/weir-gitops/weir/pkg/dial"
)

const dataKey = "0123456789abcdef0123456789abcdef"

// outside is a server that all addresses lead to. It answers as the services do.
type outside struct {
	*httptest.Server
	t *testing.T
	// asked are the requests, as method, host and path.
	asked []string
	// redirect, if it is not "", is where Vault sends everybody to.
	redirect string
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", o.kms)
	mux.HandleFunc("PUT vault.example/v1/transit/decrypt/weir", o.transit)
	mux.HandleFunc("PUT vault.example/v1/auth/kubernetes/login", o.login)
	o.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked = append(o.asked, r.Method+" "+r.Host+r.URL.Path)
		if o.redirect != "" {
			http.Redirect(w, r, o.redirect, http.StatusTemporaryRedirect)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

// services returns Services for which every name is that of the server.
func (o *outside) services(config Config) *Services {
	config.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, o.Listener.Addr().String())
	}
	s := NewServices(config)
	transport, _ := s.http.Transport.(*http.Transport)
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	transport.TLSClientConfig.RootCAs.AddCert(o.Certificate())
	transport.TLSClientConfig.ServerName = "example.com"
	return s
}

func (o *outside) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		o.t.Error(err)
	}
}

func (o *outside) kms(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "TrentService.Decrypt" || !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIATEST/") {
		o.answer(w, http.StatusBadRequest, map[string]string{"__type": "AccessDeniedException", "message": "the body"})
		return
	}
	o.answer(w, http.StatusOK, map[string]string{"Plaintext": base64.StdEncoding.EncodeToString([]byte(dataKey))})
}

func (o *outside) transit(w http.ResponseWriter, r *http.Request) {
	if token := r.Header.Get("X-Vault-Token"); token != "static" && token != "of-team_robot" {
		o.answer(w, http.StatusForbidden, map[string]any{"errors": []string{"the body"}})
		return
	}
	o.answer(w, http.StatusOK, map[string]any{"data": map[string]string{"plaintext": base64.StdEncoding.EncodeToString([]byte(dataKey))}})
}

func (o *outside) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ Role, JWT string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.JWT != "token for https://vault.example" {
		o.answer(w, http.StatusForbidden, map[string]any{"errors": []string{"the body"}})
		return
	}
	o.answer(w, http.StatusOK, map[string]any{"auth": map[string]string{"client_token": "of-" + body.Role}})
}

func vaultKey(address string) *keyservice.Key {
	return &keyservice.Key{KeyType: &keyservice.Key_VaultKey{VaultKey: &keyservice.VaultKey{
		VaultAddress: address, EnginePath: "transit", KeyName: "weir",
	}}}
}

func awsKey() *keyservice.Key {
	return &keyservice.Key{KeyType: &keyservice.Key_KmsKey{KmsKey: &keyservice.KmsKey{
		Arn: "arn:aws:kms:eu-west-1:1:key/a", AwsProfile: "of-somebody",
	}}}
}

// logins lists one server, and gives out tokens.
func logins(servers ...Vault) Config {
	return Config{
		Vaults: func(context.Context) ([]Vault, error) { return servers, nil },
		Token: func(_ context.Context, account Account, audience string) (Account, string, error) {
			if account.Name == "" {
				account = Account{Namespace: "weir-system", Name: "kustomize-controller"}
			}
			return account, "token for " + audience, nil
		},
	}
}

func TestServices(t *testing.T) {
	listed := Vault{Address: "https://vault.example", LoginPath: "auth/kubernetes/login"}
	robot := Account{Namespace: "team", Name: "robot"}
	for name, tc := range map[string]struct {
		key      *keyservice.Key
		entries  map[string]string
		config   Config
		account  Account
		redirect string
		want     string // in the error; "" is success
	}{
		"Vault by token": {key: vaultKey("https://vault.example"), entries: map[string]string{vaultEntry: "static\n"}},
		"Vault by another token": {
			key: vaultKey("https://vault.example"), entries: map[string]string{vaultEntry: "wrong"}, want: "it answered 403 Forbidden",
		},
		"Vault by login":              {key: vaultKey("https://vault.example/"), config: logins(listed), account: robot},
		"a token beats a login":       {key: vaultKey("https://vault.example"), config: logins(listed), entries: map[string]string{vaultEntry: "wrong"}, account: robot, want: "403"},
		"Vault as the controller":     {key: vaultKey("https://vault.example"), config: logins(listed), want: "it answered 403"},
		"Vault that is not listed":    {key: vaultKey("https://evil.example"), config: logins(listed), account: robot, want: "its address is not in the list of --sops-vault-configmap"},
		"Vault without any list":      {key: vaultKey("https://vault.example"), want: "sops.vault-token"},
		"Vault that sends us on":      {key: vaultKey("https://vault.example"), entries: map[string]string{vaultEntry: "static"}, redirect: "https://evil.example/v1/transit/decrypt/weir", want: "it could not be asked"},
		"Vault on a socket":           {key: vaultKey("unix:///run/vault.sock"), entries: map[string]string{vaultEntry: "static"}, want: "has to begin with https:// or http://"},
		"AWS by key":                  {key: awsKey(), entries: map[string]string{awsEntry: "aws_access_key_id: AKIATEST\naws_secret_access_key: s\n"}},
		"AWS by another key":          {key: awsKey(), entries: map[string]string{awsEntry: "aws_access_key_id: AKIAOTHER\naws_secret_access_key: s\n"}, want: "it answered AccessDeniedException"},
		"a key beats an account, AWS": {key: awsKey(), entries: map[string]string{awsEntry: "aws_access_key_id: AKIATEST\naws_secret_access_key: s\n"}, account: robot},
		"AWS as an account":           {key: awsKey(), account: robot, want: `this version cannot show the identity of service account "team/robot" to AWS`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VAULT_TOKEN", "static") // Of the controller, and for no file to use.
			server := newOutside(t)
			server.redirect = tc.redirect
			bundle := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_ENDPOINT_URL", server.URL)
			t.Setenv("AWS_CA_BUNDLE", bundle)
			data := map[string][]byte{}
			for entry, value := range tc.entries {
				data[entry] = []byte(value)
			}
			keys, err := ParseKeys("Secret 'team/keys'", data)
			if err != nil {
				t.Fatal(err)
			}
			d := server.services(tc.config).Decrypter(keys, tc.account)
			for range 2 {
				plain, attempt := d.ask(t.Context(), tc.key, []byte("Y2lwaGVy"))
				if tc.want == "" && (attempt.Cause != nil || string(plain) != dataKey) {
					t.Fatalf("decrypted %q, %v, asking %q", plain, attempt.Cause, server.asked)
				}
				if tc.want != "" && (attempt.Cause == nil || !strings.Contains(attempt.Cause.Error(), tc.want) || strings.Contains(attempt.Cause.Error(), "the body")) {
					t.Fatalf("error %v, want %q in it, and nothing of the answer", attempt.Cause, tc.want)
				}
			}
			if strings.Contains(strings.Join(server.asked, "\n"), "evil") {
				t.Errorf("another server was asked: %q", server.asked)
			}
			if logins := strings.Count(strings.Join(server.asked, "\n"), "login"); name == "Vault by login" && logins != 1 {
				t.Errorf("%d logins for two keys, want one", logins)
			}
		})
	}
}

func TestAddressesOfOurOwnAreRefused(t *testing.T) {
	services := NewServices(Config{Dial: dial.New(dial.Policy{}).DialContext})
	d := services.Decrypter(&Keys{from: "Secret 'team/keys'", vaultToken: "static"}, Account{})
	for _, address := range []string{"http://127.0.0.1:8200", "http://169.254.169.254"} {
		_, attempt := d.ask(t.Context(), vaultKey(address), []byte("x"))
		if attempt.Cause == nil || !strings.Contains(attempt.Cause.Error(), "its address is not one that this controller connects to") {
			t.Errorf("%s: %v, want it refused", address, attempt.Cause)
		}
	}
}

func TestParseVaults(t *testing.T) {
	for name, tc := range map[string]struct{ data, want string }{
		"good":          {"instances: [{address: 'https://vault.example', loginPath: auth/jwt/login}]", ""},
		"none":          {"", ""},
		"no login path": {"instances: [{address: 'https://vault.example'}]", "instances[0] needs address"},
		"no address":    {"instances: [{loginPath: a}]", "instances[0] needs address"},
		"a misspelling": {"instances: [{location: 'https://vault.example', loginPath: a}]", "it has to be YAML"},
	} {
		_, err := ParseVaults(tc.data)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestRemoteShowsNoText(t *testing.T) {
	for name, err := range map[string]error{
		"any":     errors.New("request 4711 failed: the body"),
		"network": &net.OpError{Op: "dial", Err: errors.New("10.1.2.3: the body")},
	} {
		if got := remote(t.Context(), err); strings.Contains(got.Error(), "body") {
			t.Errorf("%s: %v", name, got)
		}
	}
}
