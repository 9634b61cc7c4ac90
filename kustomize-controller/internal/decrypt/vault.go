// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/hashicorp/vault/api"
	"sigs.k8s.io/yaml"
)

// Vault is a server, Vault or OpenBao, that takes tokens of service accounts.
type Vault struct {
	// Address as it stands in encrypted files. It is the audience of the tokens too.
	Address string `json:"address"`
	// LoginPath is where a token is exchanged, such as auth/kubernetes/login.
	LoginPath string `json:"loginPath"`
}

// ParseVaults reads the list of servers from the config.yaml of a ConfigMap.
func ParseVaults(data string) ([]Vault, error) {
	var file struct {
		Instances []Vault `json:"instances"`
	}
	if err := yaml.UnmarshalStrict([]byte(data), &file); err != nil {
		return nil, errors.New("it has to be YAML with a list instances, each with address and loginPath")
	}
	for i, v := range file.Instances {
		if _, err := origin(v.Address); err != nil || strings.Trim(v.LoginPath, "/") == "" {
			return nil, fmt.Errorf("instances[%d] needs address, which begins with https:// or http://, and loginPath", i)
		}
	}
	return file.Instances, nil
}

// origin returns the address of a server.
func origin(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, errors.New("its address has to begin with https:// or http:// and hold no user")
	}
	return u, nil
}

func (d *Decrypter) decryptVault(ctx context.Context, key *keyservice.VaultKey, ciphertext []byte) ([]byte, error) {
	address, err := origin(key.GetVaultAddress())
	if err != nil {
		return nil, err
	}
	guarded := d.vaultHTTP(address)
	token, err := d.vaultToken(ctx, key.GetVaultAddress(), guarded)
	if err != nil {
		return nil, err
	}
	master := hcvault.MasterKey{
		VaultAddress: key.GetVaultAddress(), EnginePath: key.GetEnginePath(), KeyName: key.GetKeyName(), EncryptedKey: string(ciphertext),
	}
	hcvault.Token(token).ApplyToMasterKey(&master)
	hcvault.NewHTTPClient(guarded).ApplyToMasterKey(&master)
	plain, err := master.DecryptContext(ctx)
	if err != nil {
		return nil, remote(ctx, err)
	}
	return plain, nil
}

// vaultToken returns the token of the Secret, or that of a login.
func (d *Decrypter) vaultToken(ctx context.Context, address string, guarded *http.Client) (string, error) {
	if d.keys.vaultToken != "" {
		return d.keys.vaultToken, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if token := d.tokens[address]; token != "" {
		return token, nil
	}
	server, err := d.vault(ctx, address)
	if err != nil {
		return "", err
	}
	token, err := d.login(ctx, server, guarded)
	if err != nil {
		return "", err
	}
	d.tokens[address] = token
	return token, nil
}

// vault returns the server with an address, if it is one of those to log in to. The environment of the controller may hold
// a token, but no file has it sent to an address that it names itself.
func (d *Decrypter) vault(ctx context.Context, address string) (Vault, error) {
	if d.services.config.Vaults == nil {
		return Vault{}, d.keys.missing(vaultEntry)
	}
	servers, err := d.services.config.Vaults(ctx)
	if err != nil {
		return Vault{}, err
	}
	for _, server := range servers {
		if strings.TrimRight(server.Address, "/") == strings.TrimRight(address, "/") {
			return server, nil
		}
	}
	return Vault{}, fmt.Errorf("%w, and its address is not in the list of --sops-vault-configmap", d.keys.missing(vaultEntry))
}

// login exchanges the token of a service account. The role is called after the account, as in Flux.
func (d *Decrypter) login(ctx context.Context, server Vault, guarded *http.Client) (string, error) {
	account, jwt, err := d.services.config.Token(ctx, d.account, server.Address)
	if err != nil {
		return "", err
	}
	role := account.Namespace + "_" + account.Name
	config := api.DefaultConfig()
	config.Address, config.HttpClient = server.Address, guarded
	vault, err := api.NewClient(config)
	if err != nil {
		return "", errors.New("the client for it cannot be made")
	}
	vault.ClearToken()
	secret, err := vault.Logical().WriteWithContext(ctx, strings.Trim(server.LoginPath, "/"), map[string]any{"role": role, "jwt": jwt})
	if err != nil {
		return "", fmt.Errorf("log in at %s as role %q: %w", server.LoginPath, role, remote(ctx, err))
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return "", fmt.Errorf("log in at %s as role %q: it gave no token", server.LoginPath, role)
	}
	return secret.Auth.ClientToken, nil
}

// vaultHTTP returns a client that talks to one server only: Vault's own client would carry the token along with a redirect.
func (d *Decrypter) vaultHTTP(address *url.URL) *http.Client {
	return &http.Client{
		Transport:     pinned{to: address, next: d.services.http.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// pinned refuses requests to any other server.
type pinned struct {
	to   *url.URL
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (p pinned) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != p.to.Scheme || request.URL.Host != p.to.Host {
		return nil, errors.New("the server redirects to another one")
	}
	return p.next.RoundTrip(request)
}
