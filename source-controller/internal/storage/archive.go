// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/fluxcd/pkg/apis/meta"
)

// The modes of everything in an archive: they depend on nothing but what the
// source says of a file.
const (
	modeFile       = 0o600
	modeExecutable = 0o700
	modeDir        = 0o750
)

// Archive is the archive of an artifact while it is written. The order of the
// calls is the order of the entries.
type Archive struct {
	tar   *tar.Writer
	limit int64
	left  int64
}

// Dir adds a directory.
func (a *Archive) Dir(name string) error {
	return a.header(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: modeDir})
}

// File adds a regular file of exactly size bytes.
func (a *Archive) File(name string, executable bool, size int64, content io.Reader) error {
	if size > a.left {
		return &tooLargeError{limit: a.limit}
	}
	a.left -= size
	mode := int64(modeFile)
	if executable {
		mode = modeExecutable
	}
	if err := a.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	n, err := io.Copy(a.tar, content)
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	if n != size {
		return fmt.Errorf("archive %s: it has %d bytes where %d were announced", name, n, size)
	}
	return nil
}

func (a *Archive) header(h *tar.Header) error {
	if !filepath.IsLocal(h.Name) {
		return fmt.Errorf("archive %q: the path leaves the archive", h.Name)
	}
	if err := a.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("archive %s: %w", h.Name, err)
	}
	return nil
}

// tooLargeError is an ErrTooLarge with the number.
type tooLargeError struct {
	limit int64
	// single: the artifact is one file as it is.
	single bool
}

func (e *tooLargeError) Error() string {
	if e.single {
		return fmt.Sprintf("the artifact has more than %d bytes, the limit of --artifact-max-size", e.limit)
	}
	return fmt.Sprintf("the files of the artifact have more than %d bytes, the limit of --artifact-max-size; exclude some with .sourceignore or spec.ignore", e.limit)
}

// Unwrap returns ErrTooLarge.
func (e *tooLargeError) Unwrap() error { return ErrTooLarge }

// Write stores the archive that fill describes as an artifact and sets its
// digest, size and time. The same calls of fill always make the same bytes.
// Either the whole artifact is there afterwards, or what was there before.
func (s *Storage) Write(ctx context.Context, o Object, a *meta.Artifact, fill func(*Archive) error) error {
	return s.store(ctx, o, a, func(w io.Writer) error { return s.compress(w, fill) })
}

// compress writes the archive to w.
func (s *Storage) compress(w io.Writer, fill func(*Archive) error) error {
	zip := gzip.NewWriter(w)
	archive := &Archive{tar: tar.NewWriter(zip), limit: s.options.MaxSize, left: s.options.MaxSize}
	err := archive.Dir(".")
	if err == nil {
		err = fill(archive)
	}
	if err == nil {
		err = archive.tar.Close()
	}
	if err == nil {
		err = zip.Close()
	}
	return err
}
