// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// defaultTimeout is that of the API, for objects older than its default.
const defaultTimeout = time.Minute

// scope is what the phases of one reconcile share.
type scope struct {
	*artifact.Source

	obj *sourcev1.GitRepository
	// remote, filled by connect, is where the repository is.
	remote *git.Remote
	// target, filled by resolve, is what the reference stands for.
	target git.Target
	// subject and author, filled by build, are those of the commit.
	subject, author string
}

// close ends the connections.
func (s *scope) close() {
	if s.remote != nil {
		s.remote.Close()
	}
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
