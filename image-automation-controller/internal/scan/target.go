// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/oci"
)

// ErrPattern means that an exclusion is no regular expression.
var ErrPattern = errors.New("invalid pattern")

// Target is what an ImageRepository asks for.
type Target struct {
	Key
	// Exclude are the tags that are left out.
	Exclude []*regexp.Regexp
}

// Targets reads what objects say about the registries to scan.
type Targets struct {
	// Client reads Secrets and service accounts. It should not cache them.
	Client client.Reader
	// OwnConfig is the directory of the docker config of this process, whose
	// credentials are used for objects that name none. Empty: they are not.
	OwnConfig string
}

// Access is oci.ReadAccess, and the credentials of this process if they
// may be used.
func (t Targets) Access(ctx context.Context, namespace string, repo oci.Repository, a imagev1.RegistryAccess) (oci.Access, error) {
	access, err := oci.ReadAccess(ctx, t.Client, namespace, repo, referenceOf(a))
	if err != nil || t.OwnConfig == "" || a.SecretRef != nil || a.ServiceAccountName != "" {
		return access, err
	}
	return oci.OwnAccess(t.OwnConfig, repo, access)
}

// referenceOf names what a spec refers to.
func referenceOf(a imagev1.RegistryAccess) oci.Reference {
	r := oci.Reference{ServiceAccountName: a.ServiceAccountName, Insecure: a.Insecure, Provider: a.Provider}
	if a.SecretRef != nil {
		r.SecretRef = a.SecretRef.Name
	}
	if a.CertSecretRef != nil {
		r.CertSecretRef = a.CertSecretRef.Name
	}
	if a.ProxySecretRef != nil {
		r.ProxySecretRef = a.ProxySecretRef.Name
	}
	return r
}

// Of returns what to scan for an ImageRepository. Beside the errors of
// oci.ReadAccess, the error wraps oci.ErrImage or ErrPattern and
// names the field.
func (t Targets) Of(ctx context.Context, obj *imagev1.ImageRepository) (Target, error) {
	repo, err := oci.ParseRepository(obj.Spec.Image)
	if err != nil {
		return Target{}, fmt.Errorf("spec.image %w", err)
	}
	target := Target{Key: Key{Repository: repo, Timeout: obj.GetTimeout(), Namespace: obj.Namespace}}
	for i, pattern := range obj.GetExclusionList() {
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return Target{}, fmt.Errorf("spec.exclusionList[%d]: %w: %w", i, ErrPattern, err)
		}
		target.Exclude = append(target.Exclude, compiled)
	}
	if target.Access, err = t.Access(ctx, obj.Namespace, repo, obj.Spec.RegistryAccess); err != nil {
		return Target{}, fmt.Errorf("failed to configure authentication options: %w", err)
	}
	return target, nil
}

// ReasonOf returns the reason that a condition gives for an error of this
// package or of package oci, and whether no retry can help.
func ReasonOf(err error) (reason string, stalled bool) {
	switch {
	case errors.Is(err, oci.ErrImage):
		return imagev1.ImageURLInvalidReason, true
	case errors.Is(err, ErrPattern):
		return imagev1.InvalidPolicyReason, true
	case errors.Is(err, oci.ErrUnsupported):
		return imagev1.UnsupportedFieldReason, true
	case errors.Is(err, oci.ErrAuthentication):
		return imagev1.AuthenticationFailedReason, false
	}
	return imagev1.ReadOperationFailedReason, false
}
