// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository

import (
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// scope is what the phases of one reconcile share.
type scope struct {
	*artifact.Source

	obj *sourcev1.OCIRepository
	// repo, filled by validate, is what the URL names.
	repo oci.Repository
	// access, filled by connect, is with what the registry is asked.
	access oci.Access
	// target, filled by resolve, is what the reference stands for.
	target target
}

// target is what a reference stands for.
type target struct {
	// tag that was resolved; empty if the reference is a digest.
	tag, digest string
}

// revision is how the artifact's revision is written.
func (t target) revision() string {
	if t.tag == "" {
		return t.digest
	}
	return t.tag + "@" + t.digest
}

// reference is how the target is written after the name of its repository.
func (t target) reference() string {
	if t.tag == "" {
		return "@" + t.digest
	}
	return ":" + t.tag
}

// current reports whether the stored artifact is what the spec asks for, as
// far as the registry's answer shows.
func (s *scope) current() bool {
	return s.sameContent() && s.Artifact().HasRevision(s.target.revision())
}

// sameContent reports whether what is made of a digest is what the spec asks
// for.
func (s *scope) sameContent() bool {
	spec, status := &s.obj.Spec, &s.obj.Status
	return equal(spec.Ignore, status.ObservedIgnore) && equal(spec.LayerSelector, status.ObservedLayerSelector)
}

// equal compares what two pointers point to.
func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
