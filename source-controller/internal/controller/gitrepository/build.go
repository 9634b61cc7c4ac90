// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"cmp"
	"context"
	"errors"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

const (
	// maxSubject is how many characters of a commit's subject are kept.
	maxSubject = 200

	// eventSubject is how many characters of a commit's subject an event shows.
	eventSubject = 50
	// eventAuthorKey is the key of the metadata of events for who wrote it.
	eventAuthorKey = artifact.EventKeyPrefix + "author"

	// Keys of an artifact's metadata: who wrote the commit, and what for.
	authorKey  = "weir.dev/commit-author"
	subjectKey = "weir.dev/commit-subject"
)

// build stores the artifact of target unless it is there, and sets the status
// to it.
func (c *Controller) build(ctx context.Context, s *scope) error {
	if !s.current() {
		if err := c.store(ctx, s); err != nil {
			return err
		}
	}
	revision := s.Artifact().Revision
	outcome := artifact.Outcome{
		Message: "stored artifact for revision '" + revision + "'",
		Event:   "stored artifact for commit '" + cmp.Or(artifact.Shorten(s.subject, eventSubject), revision) + "'",
	}
	if s.author != "" {
		outcome.Metadata = map[string]string{eventAuthorKey: s.author}
	}
	return s.Done(outcome)
}

func (c *Controller) store(ctx context.Context, s *scope) error {
	release, err := s.Slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	stored := s.New(s.target.Revision, s.target.Hash+".tar.gz")
	limited, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	var archiving error
	err = c.Objects.Read(limited, s.remote, s.target, func(commit *git.Commit) error {
		archiving = c.archive(ctx, s, stored, commit)
		return archiving
	})
	switch {
	case err == nil:
	case archiving == nil || errors.Is(err, git.ErrCorrupt):
		return s.gitFailed(err)
	default:
		return s.StorageFailed(err)
	}
	s.Stored(ctx, stored)
	status := &s.obj.Status
	status.ObservedIgnore = s.obj.Spec.Ignore
	status.IncludedArtifacts, status.ObservedInclude, status.ObservedSparseCheckout = nil, nil, nil
	status.ObservedRecurseSubmodules = false
	return nil
}

// archive writes the files of a commit.
func (c *Controller) archive(ctx context.Context, s *scope, stored *fluxmeta.Artifact, commit *git.Commit) error {
	tree := func(ctx context.Context, visit func(artifact.Entry) error) error {
		return commit.Walk(ctx, func(e git.Entry) error { return visitEntry(e, visit) })
	}
	if err := s.ArchiveTree(ctx, stored, tree, s.obj.Spec.Ignore); err != nil {
		return err
	}
	s.author, s.subject = commit.Author.String(), commit.Subject()
	stored.Metadata = map[string]string{
		authorKey: artifact.Shorten(s.author, maxSubject), subjectKey: artifact.Shorten(s.subject, maxSubject),
		// A rebase leaves the time of the author as it was.
		measure.CommitTime: commit.Committer.When.UTC().Format(time.RFC3339),
	}
	return nil
}

// visitEntry passes on what goes into an archive. A submodule that is not
// fetched is an empty directory, as in a checkout.
func visitEntry(e git.Entry, visit func(artifact.Entry) error) error {
	if e.Kind == git.Symlink {
		return nil
	}
	return visit(artifact.Entry{
		Path: e.Path, Dir: e.Kind == git.Dir || e.Kind == git.Submodule, Executable: e.Kind == git.Executable, Open: e.Open,
	})
}
