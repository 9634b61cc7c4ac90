// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reference says which Secrets and service account of a namespace describe
// access to a registry. Each name may be empty; the zero value is anonymous.
type Reference struct {
	// SecretRef is the name of a Secret with a docker config.
	SecretRef string
	// ServiceAccountName is the name of a service account with image pull
	// secrets. It counts only without SecretRef.
	ServiceAccountName string
	// CertSecretRef is the name of a Secret with TLS files.
	CertSecretRef string
	// ProxySecretRef is the name of a Secret with the address of a proxy.
	ProxySecretRef string
	// Insecure permits plain HTTP.
	Insecure bool
	// Provider is that of the credentials; none but "" and "generic" is
	// supported.
	Provider string
}

// ReadAccess reads what an object says about access to repo from Secrets of its
// namespace: the docker config of secretRef, or else those of the service
// account's image pull secrets, of which one that has no entry for the registry
// is passed over; the TLS files of certSecretRef; the proxy of proxySecretRef.
// With neither secretRef nor serviceAccountName the access is anonymous.
//
// Its error wraps ErrAuthentication if a Secret is missing or unusable, names
// it, and never quotes it; ErrUnsupported for the providers of clouds; or is
// that of the API server.
func ReadAccess(ctx context.Context, c client.Reader, namespace string, repo Repository, a Reference) (Access, error) {
	if a.Provider != "" && a.Provider != "generic" {
		return Access{}, failf(ErrUnsupported,
			"provider '%s' is not supported: use 'generic' with a 'secretRef' whose Secret holds credentials for the registry", a.Provider)
	}
	r := secretReader{client: c, namespace: namespace}
	access := Access{Insecure: a.Insecure}
	var err error
	switch {
	case a.SecretRef != "":
		err = r.credentials(ctx, a.SecretRef, repo, &access)
	case a.ServiceAccountName != "":
		err = r.pullSecrets(ctx, a.ServiceAccountName, repo, &access)
	default:
	}
	if err == nil && a.CertSecretRef != "" {
		err = r.certificates(ctx, a.CertSecretRef, &access)
	}
	if err == nil && a.ProxySecretRef != "" {
		err = r.proxy(ctx, a.ProxySecretRef, &access)
	}
	if err != nil {
		return Access{}, err
	}
	return access, nil
}

// secretReader reads what is in one namespace.
type secretReader struct {
	client    client.Reader
	namespace string
}

func (r *secretReader) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, failf(ErrAuthentication, "the Secret '%s/%s' does not exist", r.namespace, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the Secret '%s/%s': %w", r.namespace, name, err)
	}
	return secret, nil
}

// credentials reads them for repo from a Secret that has to hold some.
func (r *secretReader) credentials(ctx context.Context, name string, repo Repository, access *Access) error {
	secret, err := r.secret(ctx, name)
	if err != nil {
		return err
	}
	found, err := fromDockerConfig(secret.Data, repo, access)
	if err != nil {
		return failf(ErrAuthentication, "the Secret '%s/%s' cannot be used: %v", r.namespace, name, err)
	}
	if !found {
		return failf(ErrAuthentication, "the Secret '%s/%s' holds no credentials for '%s'", r.namespace, name, repo.host)
	}
	return nil
}

// pullSecrets takes the first credentials for repo among the image pull secrets
// of a service account. As for the kubelet, secrets that are missing do not
// matter, and without any the access is anonymous.
func (r *secretReader) pullSecrets(ctx context.Context, name string, repo Repository, access *Access) error {
	account := &corev1.ServiceAccount{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: name}, account)
	if apierrors.IsNotFound(err) {
		return failf(ErrAuthentication, "the service account '%s/%s' does not exist", r.namespace, name)
	}
	if err != nil {
		return fmt.Errorf("read the service account '%s/%s': %w", r.namespace, name, err)
	}
	for _, ref := range account.ImagePullSecrets {
		secret := &corev1.Secret{}
		err := r.client.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: ref.Name}, secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the Secret '%s/%s': %w", r.namespace, ref.Name, err)
		}
		found, err := fromDockerConfig(secret.Data, repo, access)
		if err != nil {
			return failf(ErrAuthentication, "the Secret '%s/%s' of the service account '%s' cannot be used: %v",
				r.namespace, ref.Name, name, err)
		}
		if found {
			return nil
		}
	}
	return nil
}

// certificates reads ca.crt, tls.crt and tls.key, or the older names caFile,
// certFile and keyFile.
func (r *secretReader) certificates(ctx context.Context, name string, access *Access) error {
	secret, err := r.secret(ctx, name)
	if err != nil {
		return err
	}
	pick := func(key, older string) []byte {
		if value := secret.Data[key]; len(value) > 0 {
			return value
		}
		return secret.Data[older]
	}
	access.CA = pick("ca.crt", "caFile")
	access.Certificate, access.PrivateKey = pick("tls.crt", "certFile"), pick("tls.key", "keyFile")
	switch {
	case len(access.CA)+len(access.Certificate)+len(access.PrivateKey) == 0:
		return failf(ErrAuthentication, "the Secret '%s/%s' holds neither 'ca.crt' nor 'tls.crt' and 'tls.key'", r.namespace, name)
	case (len(access.Certificate) == 0) != (len(access.PrivateKey) == 0):
		return failf(ErrAuthentication, "the Secret '%s/%s' holds only one of 'tls.crt' and 'tls.key'", r.namespace, name)
	default:
		return nil
	}
}

// proxy reads address, username and password.
func (r *secretReader) proxy(ctx context.Context, name string, access *Access) error {
	secret, err := r.secret(ctx, name)
	if err != nil {
		return err
	}
	address, found := secret.Data["address"]
	if !found {
		return failf(ErrAuthentication, "the Secret '%s/%s' for the proxy has no key 'address'", r.namespace, name)
	}
	proxy, err := url.Parse(string(address))
	if err != nil || proxy.Host == "" || proxy.Scheme != "http" && proxy.Scheme != "https" {
		return failf(ErrAuthentication, "the 'address' in the Secret '%s/%s' is not the URL of an HTTP proxy", r.namespace, name)
	}
	if user, found := secret.Data["username"]; found {
		proxy.User = url.UserPassword(string(user), string(secret.Data["password"]))
	}
	access.Proxy = &url.URL{Scheme: proxy.Scheme, Host: proxy.Host, User: proxy.User}
	return nil
}
