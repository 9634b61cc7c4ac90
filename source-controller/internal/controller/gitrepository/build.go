// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/ignore"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

const (
	// maxIgnoreFile is how many bytes one .sourceignore may have.
	maxIgnoreFile = 1 << 20
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
		Event:   "stored artifact for commit '" + cmp.Or(shorten(s.subject, eventSubject), revision) + "'",
	}
	if s.author != "" {
		outcome.Metadata = map[string]string{eventAuthorKey: s.author}
	}
	return s.Done(outcome)
}

func (c *Controller) store(ctx context.Context, s *scope) error {
	stored := s.New(s.target.Revision, s.target.Hash+".tar.gz")
	limited, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	var archiving error
	err := c.Objects.Read(limited, s.remote, s.target, func(commit *git.Commit) error {
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
	ignored, err := s.ignored(ctx, commit)
	if err != nil {
		return err
	}
	err = s.Archive(ctx, stored, func(a *storage.Archive) error {
		return commit.Walk(ctx, func(e git.Entry) error { return add(a, e, ignored) })
	})
	if err != nil {
		return err
	}
	s.author, s.subject = commit.Author.String(), commit.Subject()
	stored.Metadata = map[string]string{authorKey: shorten(s.author, maxSubject), subjectKey: shorten(s.subject, maxSubject)}
	return nil
}

// add puts one path into the archive. Symlinks stay out: what they point to
// would be looked up where the archive is unpacked. A submodule that is not
// fetched is an empty directory, as in a checkout.
func add(a *storage.Archive, e git.Entry, ignored func(string, bool) bool) error {
	isDir := e.Kind == git.Dir || e.Kind == git.Submodule
	if e.Kind == git.Symlink || ignored(e.Path, isDir) {
		return nil
	}
	if isDir {
		return a.Dir(e.Path)
	}
	size, content, err := e.Open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return a.File(e.Path, e.Kind == git.Executable, size, content)
}

// ignored reads the ignore files of a commit and returns what tells which of
// its paths stay out of the artifact.
func (s *scope) ignored(ctx context.Context, commit *git.Commit) (func(string, bool) bool, error) {
	var patterns ignore.Patterns
	err := commit.Walk(ctx, func(e git.Entry) error {
		if path.Base(e.Path) != ignore.File || e.Kind != git.File && e.Kind != git.Executable {
			return nil
		}
		size, content, err := e.Open()
		if err != nil {
			return err
		}
		defer func() { _ = content.Close() }()
		if size > maxIgnoreFile {
			return fmt.Errorf("%s has %d bytes; the limit is %d", e.Path, size, maxIgnoreFile)
		}
		patterns.AddFile(e.Path, io.LimitReader(content, maxIgnoreFile))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.obj.Spec.Ignore != nil {
		patterns.Spec(*s.obj.Spec.Ignore)
	}
	return patterns.Matcher(), nil
}

// shorten cuts text to a number of characters and marks that it did.
func shorten(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "..."
	}
	return text
}
