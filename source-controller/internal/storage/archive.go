// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the files of the artifact have more than %d bytes, the limit of --artifact-max-size; exclude some with .sourceignore or spec.ignore", e.limit)
}

// Unwrap returns ErrTooLarge.
func (e *tooLargeError) Unwrap() error { return ErrTooLarge }

// Write stores the artifact that fill describes and sets its digest, size and
// time. The same calls of fill always make the same bytes. Either the whole
// artifact is there afterwards, or what was there before.
func (s *Storage) Write(ctx context.Context, o Object, a *meta.Artifact, fill func(*Archive) error) (err error) {
	name, ok := owned(o, a)
	if !ok {
		return fmt.Errorf("store artifact: %q is not a path of %s %s/%s", a.Path, o.Kind, o.Namespace, o.Name)
	}
	if err := s.root.MkdirAll(o.dir(), 0o700); err != nil {
		return fmt.Errorf("store artifact %s: %w", name, err)
	}
	unlock, err := s.lock(name)
	if err != nil {
		return err
	}
	defer unlock()

	temp := path.Join(o.dir(), tempPrefix+rand.Text())
	file, err := s.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("store artifact %s: %w", name, stable(err))
	}
	defer func() {
		if err != nil {
			_ = s.root.Remove(temp)
		}
	}()
	sum, size, err := s.compress(ctx, file, fill)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("store artifact %s: %w", name, stable(err))
	}
	if err := s.root.Rename(temp, name); err != nil {
		return fmt.Errorf("store artifact %s: %w", name, stable(err))
	}
	a.Digest, a.Size, a.LastUpdateTime = sum.String(), &size, metav1.NewTime(s.now())
	return nil
}

// compress writes the archive to w.
func (s *Storage) compress(ctx context.Context, w io.Writer, fill func(*Archive) error) (digest.Digest, int64, error) {
	digester := s.algorithm.Digester()
	out := &countingWriter{ctx: ctx, w: io.MultiWriter(w, digester.Hash())}
	zip := gzip.NewWriter(out)
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
	return digester.Digest(), out.n, err
}

// countingWriter counts bytes and stops when its context ends.
type countingWriter struct {
	ctx context.Context //nolint:containedctx // Lives as long as one archive.
	w   io.Writer
	n   int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// lock takes the lock file of an artifact, which keeps two processes on one
// disk apart: during a hand-over both may believe that they lead.
func (s *Storage) lock(name string) (unlock func(), err error) {
	file, err := s.root.OpenFile(name+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%w: another process writes %s", ErrLocked, name)
	}
	return func() { _ = file.Close() }, nil
}

// stable keeps the random name of a temporary file out of an error.
func stable(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok && strings.Contains(pathError.Path, tempPrefix) {
		return fmt.Errorf("%s: %w", pathError.Op, pathError.Err)
	}
	if linkError, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s: %w", linkError.Op, linkError.Err)
	}
	return err
}
