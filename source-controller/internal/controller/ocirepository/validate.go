// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// validate stalls objects that no retry can help, and fills repo.
func (c *Controller) validate(_ context.Context, s *scope) (err error) {
	if err := unsupported(&s.obj.Spec); err != nil {
		return err
	}
	if s.repo, err = parseURL(s.obj.Spec.URL); err != nil {
		err = fmt.Errorf("URL validation failed for '%s': %w", s.obj.Spec.URL, err)
		return s.Stall(sourcev1.FetchFailedCondition, sourcev1.URLInvalidReason, err)
	}
	// What Flux may have left from a spec with this field.
	conditions.Delete(s.obj, sourcev1.SourceVerifiedCondition)
	s.obj.Status.SourceVerificationFingerprint = ""
	return nil
}

// unsupported refuses fields that would be ignored.
func unsupported(spec *sourcev1.OCIRepositorySpec) error {
	return artifact.Unsupported(
		artifact.Field{Name: "spec.provider: " + spec.Provider, Used: spec.Provider != "" && spec.Provider != sourcev1.GenericOCIProvider},
		artifact.Field{Name: "spec.verify", Used: spec.Verify != nil},
	)
}

// parseURL reads oci://<registry>/<repository>.
func parseURL(url string) (oci.Repository, error) {
	name, found := strings.CutPrefix(url, sourcev1.OCIRepositoryPrefix)
	if !found || strings.Contains(name, "://") {
		return oci.Repository{}, errors.New("URL must be in format 'oci://<domain>/<org>/<repo>'")
	}
	repo, tag, digest, err := oci.SplitReference(name)
	switch {
	case err != nil:
		return oci.Repository{}, err
	case tag != "":
		return oci.Repository{}, fmt.Errorf("URL must not contain a tag; remove ':%s'", tag)
	case digest != "":
		return oci.Repository{}, fmt.Errorf("URL must not contain a digest; remove '@%s'", digest)
	}
	return oci.ParseRepository(repo)
}
