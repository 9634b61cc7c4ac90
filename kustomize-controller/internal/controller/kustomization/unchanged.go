// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"sync"

	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
)

// skip takes a new revision for applied if it is the same in all that the last
// build has read: what it would build is what is applied. Nothing is left to
// decide then; the revision advances, and health goes on as it was.
func (c *Controller) skip(ctx context.Context, s *scope) error {
	if !s.onlyRevision() || !c.buildsTheSame(ctx, s) {
		return nil
	}
	s.memory.applied.digest = s.artifact.Digest
	s.memory.tried = s.memory.applied
	s.obj.Status.LastAttemptedRevision = s.artifact.Revision
	return nil
}

// buildsTheSame reports whether the new revision would build what is applied.
// Where that cannot be told it does not: the phases that follow look into what
// fails here.
func (c *Controller) buildsTheSame(ctx context.Context, s *scope) bool {
	if c.open(ctx, s) != nil || !s.memory.reads.Unchanged(s.tree.Dir()) {
		return false
	}
	variables, err := c.readVariables(ctx, s)
	return err == nil && digestOf(variables) == s.memory.applied.variables
}

// onlyRevision reports whether all that is new is the artifact, and what was
// tried before it was applied in full.
func (s *scope) onlyRevision() bool {
	m := s.memory
	return m.reads != nil && !m.outdated(s.obj) && m.failure == nil && m.tried == m.applied &&
		m.applied.generation == s.obj.Generation && m.applied.digest != s.artifact.Digest && !m.asked(s) && !s.drift.Stale
}

// open fetches and unpacks the artifact, once in a reconcile.
func (c *Controller) open(ctx context.Context, s *scope) error {
	if s.tree == nil && s.treeErr == nil {
		s.tree, s.treeErr = c.Artifacts.Open(ctx, s.source.GetUID(), s.artifact)
	}
	return s.treeErr
}

// maxReadBytes is how many bytes of memory all Kustomizations together may take
// for what their builds have read. Those that come too late are built at every
// revision.
const maxReadBytes = 32 << 20

// readBudget counts what is kept of reads. The zero value is ready for use.
type readBudget struct {
	mu   sync.Mutex
	used int64
}

// replace gives up one and returns what to keep in its place: the other, or nil
// if there is no room for it.
func (b *readBudget) replace(one, other *build.Reads) *build.Reads {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= one.Size()
	if b.used+other.Size() > maxReadBytes {
		return nil
	}
	b.used += other.Size()
	return other
}
