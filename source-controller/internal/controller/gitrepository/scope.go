// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// defaultTimeout is that of the API, for objects older than its default.
const defaultTimeout = time.Minute

// scope is what the phases of one reconcile share.
type scope struct {
	obj     *sourcev1.GitRepository
	patcher *reconcile.Patcher
	// before is the artifact that the object had at the start.
	before *fluxmeta.Artifact
	// failing: the object showed a failure at the start.
	failing bool
	// requested: somebody asked for this reconcile by annotation.
	requested bool

	// remote, filled by connect, is where the repository is.
	remote *git.Remote
	// target, filled by resolve, is what the reference stands for.
	target git.Target
	// subject and author, filled by build, are those of the commit.
	subject, author string
}

func newScope(obj *sourcev1.GitRepository, patcher *reconcile.Patcher, requested bool) *scope {
	return &scope{obj: obj, patcher: patcher, requested: requested, before: obj.Status.Artifact.DeepCopy(), failing: isFailing(obj)}
}

// close ends the connections.
func (s *scope) close() {
	if s.remote != nil {
		s.remote.Close()
	}
}

// owner is how the storage knows the object.
func (s *scope) owner() storage.Object { return ownerOf(s.obj) }

func ownerOf(obj *sourcev1.GitRepository) storage.Object {
	return storage.Object{Kind: sourcev1.GitRepositoryKind, Namespace: obj.Namespace, Name: obj.Name}
}

// timeout is that of one conversation with the remote.
func (s *scope) timeout() time.Duration {
	if s.obj.Spec.Timeout == nil {
		return defaultTimeout
	}
	return s.obj.Spec.Timeout.Duration
}

// current reports whether the stored artifact is what the spec asks for, as
// far as the remote's answer shows.
func (s *scope) current() bool {
	ignore, observed := s.obj.Spec.Ignore, s.obj.Status.ObservedIgnore
	same := ignore == observed || ignore != nil && observed != nil && *ignore == *observed
	return same && s.obj.Status.Artifact.HasRevision(s.target.Revision)
}
