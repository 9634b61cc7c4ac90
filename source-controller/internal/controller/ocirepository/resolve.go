// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository

import (
	"context"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/oci"
)

// connect reads the credentials and fills access.
func (c *Controller) connect(ctx context.Context, s *scope) (err error) {
	if s.access, err = oci.ReadAccess(ctx, c.Client, s.obj.Namespace, s.repo, c.reference(&s.obj.Spec)); err != nil {
		return s.fetchFailed(sourcev1.AuthenticationFailedReason, fmt.Errorf("failed to get credential: %w", err))
	}
	return nil
}

// reference names the Secrets of a spec.
func (c *Controller) reference(spec *sourcev1.OCIRepositorySpec) oci.Reference {
	r := oci.Reference{
		SecretRef: nameOf(spec.SecretRef), ServiceAccountName: spec.ServiceAccountName,
		CertSecretRef: nameOf(spec.CertSecretRef), ProxySecretRef: nameOf(spec.ProxySecretRef),
		Insecure: spec.Insecure,
	}
	if r.ServiceAccountName == "" {
		r.ServiceAccountName = c.ServiceAccount
	}
	return r
}

func nameOf(ref *fluxmeta.LocalObjectReference) string {
	if ref == nil {
		return ""
	}
	return ref.Name
}

// resolve asks the registry what the reference stands for and fills target.
func (c *Controller) resolve(ctx context.Context, s *scope) error {
	limited, cancel := context.WithTimeout(ctx, s.obj.GetTimeout())
	defer cancel()
	if err := c.choose(limited, s); err != nil {
		return err
	}
	if !s.current() {
		return s.Outdated(ctx, s.news())
	}
	s.UpToDate()
	return nil
}

// choose fills target. A digest is what it is; of a tag the registry is asked.
func (c *Controller) choose(ctx context.Context, s *scope) (err error) {
	var ref sourcev1.OCIRepositoryRef
	if s.obj.Spec.Reference != nil {
		ref = *s.obj.Spec.Reference
	}
	if ref.Digest != "" {
		if !oci.ValidDigest(ref.Digest) {
			err := fmt.Errorf("failed to determine artifact digest: spec.ref.digest '%s' is not 'sha256:' and 64 hexadecimal digits", ref.Digest)
			return s.fetchFailed(sourcev1.OCIPullFailedReason, err)
		}
		s.target = target{digest: ref.Digest}
		return nil
	}
	tag := ref.Tag
	switch {
	case ref.SemVer != "":
		if tag, err = c.latest(ctx, s, ref); err != nil {
			err = fmt.Errorf("failed to determine the artifact tag for '%s': %w", s.obj.Spec.URL, err)
			return s.fetchFailed(sourcev1.ReadOperationFailedReason, err)
		}
	case tag == "":
		tag = "latest"
	}
	digest, err := c.Registry.Digest(ctx, s.repo, s.access, tag)
	if err != nil {
		return s.fetchFailed(sourcev1.OCIPullFailedReason, fmt.Errorf("failed to determine artifact digest: %w", err))
	}
	s.target = target{tag: tag, digest: digest}
	return nil
}

// latest lists the tags and returns that of the highest version.
func (c *Controller) latest(ctx context.Context, s *scope, ref sourcev1.OCIRepositoryRef) (string, error) {
	rule, err := newRule(ref.SemVer, ref.SemverFilter, s.obj.GetLayerMediaType())
	if err != nil {
		return "", err
	}
	tags, _, _, err := c.Registry.Tags(ctx, s.repo, s.access, nil)
	if err != nil {
		return "", err
	}
	return rule.pick(tags)
}

// news says what is about to be built.
func (s *scope) news() string {
	if s.Artifact().HasRevision(s.target.revision()) {
		return "spec.ignore or spec.layerSelector has changed"
	}
	return fmt.Sprintf("new revision '%s' for '%s%s'", s.target.revision(), s.repo, s.target.reference())
}

// fetchFailed records that the registry could not be observed, or has not what
// the spec asks for.
func (s *scope) fetchFailed(reason string, err error) error {
	return s.Fail(sourcev1.FetchFailedCondition, reason, err)
}
