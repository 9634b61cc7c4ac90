// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
)

// DecryptionOptions are the settings of spec.decryption.
type DecryptionOptions struct {
	// AgeSecret, in the controller's namespace, has the keys for
	// Kustomizations that name no Secret. Empty: they have none.
	AgeSecret string
	// ServiceAccount shows its identity to key services for Kustomizations
	// that name none. Empty: the controller shows its own.
	ServiceAccount string
	// Logins says that there are key services which the identity of a service
	// account can be shown to.
	Logins bool
}

// checkDecryption refuses an identity that nothing would be done with.
func (c *Controller) checkDecryption(s *scope) error {
	d := s.obj.Spec.Decryption
	if d == nil || d.ServiceAccountName == "" || c.Options.Decryption.Logins {
		return nil
	}
	return errors.New("spec.decryption.serviceAccountName is built for logins to Vault only, and this controller has none; " +
		"start it with --sops-vault-configmap, or put credentials into the Secret of spec.decryption.secretRef")
}

// readKeys reads the keys of spec.decryption, live and as the controller: they
// are in the namespace of the Kustomization, and leave the controller only as
// what they decrypt. It returns what identifies them, and "" if nothing is to
// be decrypted.
func (c *Controller) readKeys(ctx context.Context, s *scope) (string, error) {
	d := s.obj.Spec.Decryption
	if d == nil {
		return "", nil
	}
	name, from := client.ObjectKey{}, ""
	switch {
	case d.SecretRef != nil:
		name = client.ObjectKey{Namespace: s.obj.Namespace, Name: d.SecretRef.Name}
		from = "spec.decryption.secretRef"
	case c.Options.Decryption.AgeSecret != "":
		name = client.ObjectKey{Namespace: c.Options.Namespace, Name: c.Options.Decryption.AgeSecret}
		from = "--sops-age-secret"
	}
	account := decrypt.Account{Namespace: s.obj.Namespace, Name: cmp.Or(d.ServiceAccountName, c.Options.Decryption.ServiceAccount)}
	if name.Name == "" {
		s.decrypter = c.Decryption.Decrypter(nil, account)
		return "no keys", nil
	}
	secret := &corev1.Secret{}
	if err := c.Live.Get(ctx, name, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return "", fmt.Errorf("%s: Secret '%s' not found; create it, or mend the reference", from, name)
		}
		return "", fmt.Errorf("%s: read Secret '%s': %w", from, name, err)
	}
	data := secret.Data
	if d.SecretRef == nil {
		data = decrypt.AgeOnly(data)
	}
	keys, err := decrypt.ParseKeys(fmt.Sprintf("Secret '%s'", name), data)
	if err != nil {
		return "", err
	}
	s.decrypter = c.Decryption.Decrypter(keys, account)
	return string(secret.UID) + "/" + secret.ResourceVersion, nil
}
