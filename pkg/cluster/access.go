// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/api/meta"
)

// ErrMissing is wrapped by the error for a Secret or ConfigMap that does not
// exist: nobody is left who could say how to reach the cluster.
var ErrMissing = errors.New("no access data")

// ErrProvider is wrapped by the error for a provider that is not built.
var ErrProvider = errors.New("unknown provider")

// access is how to reach a cluster, and as whom.
type access struct {
	// key is the same for equal access data and differs for any other.
	key string
	// config has address, TLS and credentials, and nothing of this process.
	config *rest.Config
	// account whose tokens are the credentials; nil if config has them.
	account *account
}

// textError is an error whose text says all there is to say of its kind.
type textError struct {
	text string
	kind error
}

func (e *textError) Error() string { return e.text }

// Unwrap returns the kind.
func (e *textError) Unwrap() error { return e.kind }

// read returns what spec.kubeConfig of an object in the namespace refers to, as
// it is now.
func (c *Clusters) read(ctx context.Context, namespace string, ref *meta.KubeConfigReference) (*access, error) {
	switch {
	case ref.SecretRef != nil:
		return c.readSecret(ctx, types.NamespacedName{Namespace: namespace, Name: ref.SecretRef.Name}, ref.SecretRef.Key)
	case ref.ConfigMapRef != nil:
		return c.readConfigMap(ctx, types.NamespacedName{Namespace: namespace, Name: ref.ConfigMapRef.Name})
	}
	return nil, errors.New("spec.kubeConfig has neither secretRef nor configMapRef")
}

func (c *Clusters) get(ctx context.Context, kind string, key types.NamespacedName, obj client.Object) error {
	err := c.config.Reader.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return &textError{fmt.Sprintf("spec.kubeConfig: %s '%s' not found; create it, or mend the reference", kind, key), ErrMissing}
	}
	if err != nil {
		return &temporaryError{fmt.Errorf("spec.kubeConfig: read %s '%s': %w", kind, key, err)}
	}
	return nil
}

// temporaryError says nothing about the access data: they could not be read.
type temporaryError struct{ err error }

func (e *temporaryError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *temporaryError) Unwrap() error { return e.err }

func (c *Clusters) readSecret(ctx context.Context, name types.NamespacedName, key string) (*access, error) {
	secret := &corev1.Secret{}
	if err := c.get(ctx, "Secret", name, secret); err != nil {
		return nil, err
	}
	data := secret.Data[key]
	switch {
	case key != "":
	case secret.Data["value"] != nil:
		key, data = "value", secret.Data["value"]
	default:
		key, data = "value or value.yaml", secret.Data["value.yaml"]
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("spec.kubeConfig: Secret '%s' has nothing under the key %s", name, key)
	}
	config, err := parseKubeconfig(data, c.config.Insecure)
	if err != nil {
		return nil, fmt.Errorf("spec.kubeConfig: the kubeconfig in Secret '%s' cannot be used: %w", name, err)
	}
	return &access{key: keyOf("kubeconfig", string(data)), config: config}, nil
}

// Keys of a ConfigMap that describes how to reach a cluster.
const (
	providerKey  = "provider"
	addressKey   = "address"
	caKey        = "ca.crt"
	audiencesKey = "audiences"
	accountKey   = "serviceAccountName"
)

func (c *Clusters) readConfigMap(ctx context.Context, name types.NamespacedName) (*access, error) {
	object := &corev1.ConfigMap{}
	if err := c.get(ctx, "ConfigMap", name, object); err != nil {
		return nil, err
	}
	access, err := describe(object.Data, name.Namespace, c.config.DefaultAccount)
	if err != nil {
		return nil, fmt.Errorf("spec.kubeConfig: ConfigMap '%s' cannot be used: %w", name, err)
	}
	return access, nil
}

// describe returns the access that the data of a ConfigMap describe. The token
// is always that of a service account of the namespace, never the controller's
// own: it is sent to the address that the ConfigMap names.
func describe(data map[string]string, namespace, defaultAccount string) (*access, error) {
	switch provider := data[providerKey]; provider {
	case "generic":
	case "":
		return nil, errors.New("it has no provider; set provider: generic")
	case "aws", "azure", "gcp":
		return nil, &textError{fmt.Sprintf("this version of Weir does not implement the provider %s; use generic, or a kubeconfig in a Secret", provider), ErrProvider}
	default:
		return nil, &textError{fmt.Sprintf("there is no provider %q; use generic", provider), ErrProvider}
	}
	name := cmp.Or(data[accountKey], defaultAccount)
	if name == "" {
		return nil, errors.New("it has no serviceAccountName; name an account of this namespace whose token the cluster trusts")
	}
	if data[addressKey] == "" {
		return nil, errors.New("it has no address; the provider generic cannot find it out")
	}
	host, err := parseAddress(data[addressKey], false)
	if err != nil {
		return nil, fmt.Errorf("its address %w", err)
	}
	audiences := strings.Fields(data[audiencesKey])
	if len(audiences) == 0 {
		audiences = []string{data[addressKey]}
	}
	config := &rest.Config{Host: host, Proxy: http.ProxyURL(nil)}
	config.CAData = []byte(data[caKey])
	return &access{
		key:     keyOf("token", namespace, name, host, data[caKey], strings.Join(audiences, "\n")),
		config:  config,
		account: &account{name: types.NamespacedName{Namespace: namespace, Name: name}, audiences: audiences},
	}, nil
}

func keyOf(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
