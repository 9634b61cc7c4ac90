// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package credential reads what a HelmRepository says about access to charts.
// Two kinds need it: the repository itself, and charts that come from it.
package credential

import (
	"context"
	"errors"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
)

// HTTP returns where a repository with an index is, and with what it is asked.
// Its errors name the Secret at fault and never quote it.
func HTTP(ctx context.Context, k *artifact.Keeper, repo *sourcev1.HelmRepository) (chart.HTTPSource, error) {
	source := chart.HTTPSource{URL: repo.Spec.URL, PassCredentials: repo.Spec.PassCredentials}
	if repo.Spec.CertSecretRef != nil {
		data, err := read(ctx, k, repo, repo.Spec.CertSecretRef)
		if err != nil {
			return source, err
		}
		if found, err := certificates(&source, data); err != nil || !found {
			return source, unusable(repo, repo.Spec.CertSecretRef, err, "it holds neither 'ca.crt' nor 'tls.crt' and 'tls.key'")
		}
	}
	if repo.Spec.SecretRef == nil {
		return source, nil
	}
	data, err := read(ctx, k, repo, repo.Spec.SecretRef)
	if err != nil {
		return source, err
	}
	source.Username, source.Password = string(data["username"]), string(data["password"])
	if (source.Username == "") != (source.Password == "") {
		return source, unusable(repo, repo.Spec.SecretRef, nil, "it holds only one of 'username' and 'password'")
	}
	if repo.Spec.CertSecretRef == nil {
		// As in Flux, which calls this deprecated.
		if _, err := certificates(&source, data); err != nil {
			return source, unusable(repo, repo.Spec.SecretRef, err, "")
		}
	}
	return source, nil
}

// OCI returns what reads with what a repository in a registry is asked, each
// time it is. The errors of that are as those of oci.ReadAccess.
func OCI(k *artifact.Keeper, repo *sourcev1.HelmRepository) func(context.Context, oci.Repository) (oci.Access, error) {
	reference := oci.Reference{
		SecretRef: nameOf(repo.Spec.SecretRef), CertSecretRef: nameOf(repo.Spec.CertSecretRef),
		Insecure: repo.Spec.Insecure, Provider: repo.Spec.Provider,
	}
	return func(ctx context.Context, in oci.Repository) (oci.Access, error) {
		reference := reference
		var username, password string
		if reference.SecretRef != "" {
			data, err := read(ctx, k, repo, repo.Spec.SecretRef)
			if err != nil {
				return oci.Access{}, fmt.Errorf("%w: %w", oci.ErrAuthentication, err)
			}
			// Beside a docker config, Flux takes a user and a password here.
			if username, password = string(data["username"]), string(data["password"]); username != "" || password != "" {
				reference.SecretRef = ""
			}
		}
		access, err := oci.ReadAccess(ctx, k.Client, repo.Namespace, in, reference)
		if username != "" || password != "" {
			access.Username, access.Password = username, password
		}
		return access, err
	}
}

func nameOf(ref *fluxmeta.LocalObjectReference) string {
	if ref == nil {
		return ""
	}
	return ref.Name
}

func read(ctx context.Context, k *artifact.Keeper, repo *sourcev1.HelmRepository, ref *fluxmeta.LocalObjectReference) (map[string][]byte, error) {
	return k.Secret(ctx, repo.Namespace, ref.Name)
}

// unusable says what is wrong with a Secret: err, or else the text.
func unusable(repo *sourcev1.HelmRepository, ref *fluxmeta.LocalObjectReference, err error, text string) error {
	if err == nil {
		err = errors.New(text)
	}
	return fmt.Errorf("the secret '%s/%s' cannot be used: %w", repo.Namespace, ref.Name, err)
}

// certificates takes the TLS files of a Secret, by their present names or the
// older ones, and says whether there are any.
func certificates(source *chart.HTTPSource, data map[string][]byte) (found bool, err error) {
	pick := func(key, older string) []byte {
		if value := data[key]; len(value) > 0 {
			return value
		}
		return data[older]
	}
	source.CA = pick("ca.crt", "caFile")
	source.Certificate, source.Key = pick("tls.crt", "certFile"), pick("tls.key", "keyFile")
	if (len(source.Certificate) == 0) != (len(source.Key) == 0) {
		return false, errors.New("it holds only one of 'tls.crt' and 'tls.key'")
	}
	return len(source.CA)+len(source.Certificate) > 0, nil
}
