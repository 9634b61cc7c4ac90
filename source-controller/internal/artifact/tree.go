// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"context"
	"fmt"
	"io"
	"path"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/weir-gitops/weir/source-controller/internal/ignore"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// maxIgnoreFile is how many bytes one .sourceignore may have.
const maxIgnoreFile = 1 << 20

// Entry is a directory or a regular file. Symlinks are neither: what they point
// to would be looked up where the archive is unpacked.
type Entry struct {
	// Path from the root, with slashes.
	Path            string
	Dir, Executable bool
	// Open returns the size of a file, and its content.
	Open func() (int64, io.ReadCloser, error)
}

// Tree calls visit for every path of a tree, in the same order each time, and
// for a directory before what is in it. It may be called more than once.
type Tree func(ctx context.Context, visit func(Entry) error) error

// ArchiveTree is Archive of what a tree's .sourceignore files and, over those,
// the patterns of spec.ignore leave in.
func (s *Source) ArchiveTree(ctx context.Context, a *fluxmeta.Artifact, tree Tree, spec *string) error {
	ignored, err := ignoredOf(ctx, tree, spec)
	if err != nil {
		return err
	}
	return s.Archive(ctx, a, func(archive *storage.Archive) error {
		return tree(ctx, func(e Entry) error {
			if ignored(e.Path, e.Dir) {
				return nil
			}
			return add(archive, e)
		})
	})
}

func add(archive *storage.Archive, e Entry) error {
	if e.Dir {
		return archive.Dir(e.Path)
	}
	size, content, err := e.Open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return archive.File(e.Path, e.Executable, size, content)
}

// ignoredOf reads the ignore files of a tree and returns what tells which of
// its paths stay out of the artifact.
func ignoredOf(ctx context.Context, tree Tree, spec *string) (func(string, bool) bool, error) {
	var patterns ignore.Patterns
	err := tree(ctx, func(e Entry) error {
		if path.Base(e.Path) != ignore.File || e.Dir {
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
	if spec != nil {
		patterns.Spec(*spec)
	}
	return patterns.Matcher(), nil
}
