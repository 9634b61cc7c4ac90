// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/keyservice"
	"sigs.k8s.io/yaml"
)

// azureCredentials is the entry sops.azure-kv. The last three fields are what Azure's command line prints.
type azureCredentials struct {
	TenantID      string `json:"tenantId"`
	ClientID      string `json:"clientId"`
	ClientSecret  string `json:"clientSecret"`
	Certificate   string `json:"clientCertificate"`
	Password      string `json:"clientCertificatePassword"`
	SendChain     bool   `json:"clientCertificateSendChain"`
	AuthorityHost string `json:"authorityHost"`

	Tenant    string `json:"tenant"`
	AppID     string `json:"appId"`
	AppSecret string `json:"password"`
}

func parseAzure(value []byte) (*azureCredentials, error) {
	c := &azureCredentials{}
	if yaml.Unmarshal(value, c) != nil {
		return nil, errors.New("it is not YAML or JSON with the fields of an Azure credential")
	}
	c.TenantID, c.ClientID = cmp.Or(c.TenantID, c.Tenant), cmp.Or(c.ClientID, c.AppID)
	c.ClientSecret = cmp.Or(c.ClientSecret, c.AppSecret)
	hasSecret := c.ClientSecret != "" || c.Certificate != ""
	if c.ClientID == "" || hasSecret && c.TenantID == "" {
		return nil, errors.New("it needs clientId alone (a managed identity), or tenantId, clientId and either clientSecret or clientCertificate")
	}
	if c.AuthorityHost != "" && !strings.HasPrefix(c.AuthorityHost, "https://") {
		return nil, errors.New("authorityHost has to begin with https://")
	}
	return c, nil
}

func (d *Decrypter) decryptAzure(ctx context.Context, key *keyservice.AzureKeyVaultKey, ciphertext []byte) ([]byte, error) {
	if !strings.HasPrefix(key.GetVaultUrl(), "https://") {
		return nil, errors.New("its address has to begin with https://")
	}
	token, err := d.azureToken()
	if err != nil {
		return nil, err
	}
	master := azkv.MasterKey{
		VaultURL: key.GetVaultUrl(), Name: key.GetName(), Version: key.GetVersion(), EncryptedKey: string(ciphertext),
	}
	azkv.NewTokenCredential(token).ApplyToMasterKey(&master)
	azkv.NewClientOptions(&azkeys.ClientOptions{ClientOptions: d.azureClient("")}).ApplyToMasterKey(&master)
	plain, err := master.DecryptContext(ctx)
	if err != nil {
		return nil, remote(ctx, err)
	}
	return plain, nil
}

func (d *Decrypter) azureClient(authority string) azcore.ClientOptions {
	options := azcore.ClientOptions{Transport: d.services.http}
	if authority != "" {
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: authority}
	}
	return options
}

// azureToken returns the credential of the Secret or else the controller's own.
func (d *Decrypter) azureToken() (azcore.TokenCredential, error) {
	if c := d.keys.azure; c != nil {
		return d.staticAzure(c)
	}
	if err := d.ambient("Azure", azureEntry); err != nil {
		return nil, err
	}
	d.services.mu.Lock()
	defer d.services.mu.Unlock()
	if d.services.azure == nil {
		token, err := azidentity.NewDefaultAzureCredential(nil)
		if err != nil {
			return nil, errors.New("the controller has no Azure identity of its own")
		}
		d.services.azure = token
	}
	return d.services.azure, nil
}

func (d *Decrypter) staticAzure(c *azureCredentials) (token azcore.TokenCredential, err error) {
	client := d.azureClient(c.AuthorityHost)
	switch {
	case c.ClientSecret != "":
		token, err = azidentity.NewClientSecretCredential(c.TenantID, c.ClientID, c.ClientSecret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: client})
	case c.Certificate != "":
		certificates, key, parseErr := azidentity.ParseCertificates([]byte(c.Certificate), []byte(c.Password))
		if parseErr != nil {
			return nil, errors.New("clientCertificate of " + azureEntry + " cannot be read")
		}
		token, err = azidentity.NewClientCertificateCredential(c.TenantID, c.ClientID, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: client, SendCertificateChain: c.SendChain})
	default:
		if err := d.ambient("Azure", "a client secret in "+azureEntry); err != nil {
			return nil, err
		}
		// A managed identity belongs to the node, whose metadata service the guarded client would refuse.
		token, err = azidentity.NewManagedIdentityCredential(
			&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID(c.ClientID)})
	}
	if err != nil {
		return nil, errors.New("the credential in " + azureEntry + " is not valid")
	}
	return token, nil
}
