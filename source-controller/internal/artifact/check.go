// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"context"
	"errors"
	"fmt"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// UnsupportedFieldReason says that the spec uses a field that this version
// does not act on. Nothing is fetched, because what the field asks for, such
// as a verified signature, would be missing.
const UnsupportedFieldReason = "UnsupportedField"

// Scope is the scope of a kind: a struct that embeds *Source.
type Scope interface{ source() *Source }

func (s *Source) source() *Source { return s }

// Field is a field of a spec, and whether it is used.
type Field struct {
	Name string
	Used bool
}

// Unsupported stalls an object that uses one of the fields.
func Unsupported(fields ...Field) error {
	var names []string
	for _, field := range fields {
		if field.Used {
			names = append(names, field.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return reconcile.Stalled(UnsupportedFieldReason, fmt.Errorf(
		"this version of source-controller does not support %s; remove it from the spec", strings.Join(names, ", ")))
}

// Announce is the phase that shows that a new generation, or a request, is
// being worked on. Plain polls write nothing, and neither do further tries of
// what failed.
func Announce[S Scope](ctx context.Context, scope S) error {
	s := scope.source()
	if !reconcile.Announce(s.Object, *s.Status.ObservedGeneration, s.requested) {
		return nil
	}
	return s.patcher.Status(ctx)
}

// Check is the phase that collects what is past its retention and makes sure
// that the artifact of the status is on disk and intact. One that is not leaves
// the status, so that nobody asks for it while it is built anew.
func Check[S Scope](ctx context.Context, scope S) error {
	s := scope.source()
	s.collect(ctx)
	missing, err := s.missing(ctx)
	if err != nil {
		return s.Fail(sourcev1.StorageOperationFailedCondition, sourcev1.ReadOperationFailedReason, err)
	}
	conditions.Delete(s.Object, sourcev1.StorageOperationFailedCondition)
	if artifact := s.Artifact(); artifact != nil && !missing {
		s.keeper.Storage.SetURL(artifact)
		s.setURL()
		return nil
	}
	message := "building artifact"
	if missing {
		message += ": disappeared from storage"
	}
	*s.Status.Artifact = nil
	if s.Status.URL != nil {
		*s.Status.URL = ""
	}
	conditions.Delete(s.Object, sourcev1.ArtifactInStorageCondition)
	if conditions.IsReady(s.Object) {
		// Ready promises an artifact.
		conditions.MarkUnknown(s.Object, fluxmeta.ReadyCondition, fluxmeta.ProgressingReason, "%s", message)
	}
	return s.Progress(ctx, message)
}

// collect removes old artifacts. Its failure is no reason to stop: the next
// reconcile tries again.
func (s *Source) collect(ctx context.Context) {
	count, err := s.keeper.Storage.Collect(s.owner(), s.Artifact())
	if err != nil {
		s.keeper.collectFailed(ctx, s.Object, err)
	}
	if count > 0 {
		s.collected(count)
	}
}

// missing reports whether the status names an artifact that is not there. A
// damaged one is removed.
func (s *Source) missing(ctx context.Context) (bool, error) {
	artifact := s.Artifact()
	if artifact == nil {
		return false, nil
	}
	err := s.keeper.Storage.Verify(ctx, s.owner(), artifact)
	switch {
	case errors.Is(err, storage.ErrMissing):
		return true, nil
	case errors.Is(err, storage.ErrMismatch):
		s.damaged(err)
		return true, s.keeper.Storage.Remove(s.owner(), artifact)
	}
	return false, err
}
