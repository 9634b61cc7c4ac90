// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/kustomize-controller/internal/controller/kustomization"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/dial"
)

// decryption are the settings of spec.decryption.
func (o *Options) decryption() kustomization.DecryptionOptions {
	return kustomization.DecryptionOptions{
		AgeSecret:      o.SOPSAgeSecret,
		ServiceAccount: o.DefaultDecryptionServiceAccount,
		Logins:         o.SOPSVaultConfigMap != "",
	}
}

// newDecryption returns how key services are reached: through the one dialer,
// because their addresses stand in files that others write.
func newDecryption(ctx context.Context, a *app.App, o *Options) *decrypt.Services {
	dialer := dial.New(dial.Policy{AllowLocal: o.AllowLocalSources, APIServer: dial.APIServer(ctx, a.Config.Host)})
	config := decrypt.Config{Dial: dialer.DialContext}
	if o.SOPSVaultConfigMap != "" {
		logins := &logins{
			client:    a.Manager.GetClient(),
			live:      a.Manager.GetAPIReader(),
			configMap: client.ObjectKey{Namespace: o.Namespace, Name: o.SOPSVaultConfigMap},
		}
		config.Vaults, config.Token = logins.vaults, logins.token
	}
	return decrypt.NewServices(config)
}

// vaultsKey is the entry of the ConfigMap with the list of Vault servers.
const vaultsKey = "config.yaml"

// tokenSeconds is how long the token of a login is valid, the least that an API
// server gives.
const tokenSeconds = 600

// logins lets service accounts log in to Vault.
type logins struct {
	client    client.Client
	live      client.Reader
	configMap client.ObjectKey
}

// vaults reads the list of servers.
func (l *logins) vaults(ctx context.Context) ([]decrypt.Vault, error) {
	configMap := &corev1.ConfigMap{}
	if err := l.live.Get(ctx, l.configMap, configMap); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("ConfigMap '%s' of --sops-vault-configmap not found", l.configMap)
		}
		return nil, fmt.Errorf("read ConfigMap '%s' of --sops-vault-configmap: %w", l.configMap, err)
	}
	vaults, err := decrypt.ParseVaults(configMap.Data[vaultsKey])
	if err != nil {
		return nil, fmt.Errorf("%s in ConfigMap '%s' of --sops-vault-configmap: %w", vaultsKey, l.configMap, err)
	}
	return vaults, nil
}

// token asks for a token of an account, or of the controller's own if the
// account has no name.
func (l *logins) token(ctx context.Context, account decrypt.Account, audience string) (decrypt.Account, string, error) {
	if account.Name == "" {
		own, err := l.self(ctx)
		if err != nil {
			return account, "", err
		}
		account = own
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, ExpirationSeconds: ptr.To[int64](tokenSeconds),
	}}
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name}}
	if err := l.client.SubResource("token").Create(ctx, owner, request); err != nil {
		return account, "", fmt.Errorf("ask for a token of service account %s/%s: %w", account.Namespace, account.Name, err)
	}
	return account, request.Status.Token, nil
}

// self returns the service account that the controller runs as.
func (l *logins) self(ctx context.Context) (decrypt.Account, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := l.client.Create(ctx, review); err != nil {
		return decrypt.Account{}, fmt.Errorf("ask who this controller is: %w", err)
	}
	user := review.Status.UserInfo.Username
	namespace, name, ok := strings.Cut(strings.TrimPrefix(user, "system:serviceaccount:"), ":")
	if !ok {
		return decrypt.Account{}, fmt.Errorf("this controller runs as %q, which is no service account; name one in spec.decryption.serviceAccountName", user)
	}
	return decrypt.Account{Namespace: namespace, Name: name}, nil
}
