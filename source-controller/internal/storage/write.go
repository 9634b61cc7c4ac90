// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WriteFile stores the bytes that fill writes as an artifact and sets its
// digest, size and time. Either all of it is there afterwards, or what was
// there before. More bytes than the limit of an artifact are ErrTooLarge.
func (s *Storage) WriteFile(ctx context.Context, o Object, a *meta.Artifact, fill func(io.Writer) error) error {
	return s.store(ctx, o, a, func(w io.Writer) error {
		return fill(&limitedWriter{w: w, limit: s.options.MaxSize, left: s.options.MaxSize})
	})
}

// limitedWriter fails when there is more than the limit.
type limitedWriter struct {
	w           io.Writer
	limit, left int64
}

// Write passes p on.
func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, &tooLargeError{limit: l.limit, single: true}
	}
	return l.w.Write(p)
}

// store writes an artifact beside its place and moves it there.
func (s *Storage) store(ctx context.Context, o Object, a *meta.Artifact, fill func(io.Writer) error) (err error) {
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
	digester := s.algorithm.Digester()
	out := &countingWriter{ctx: ctx, w: io.MultiWriter(file, digester.Hash())}
	if err = errors.Join(fill(out), file.Close()); err != nil {
		return fmt.Errorf("store artifact %s: %w", name, stable(err))
	}
	if err := s.root.Rename(temp, name); err != nil {
		return fmt.Errorf("store artifact %s: %w", name, stable(err))
	}
	size := out.n
	a.Digest, a.Size, a.LastUpdateTime = digester.Digest().String(), &size, metav1.NewTime(s.now())
	return nil
}

// Point makes name, in the directory of the object, stand for a stored artifact
// from now on. It is no artifact of its own: Collect and Verify do not know it.
func (s *Storage) Point(o Object, a *meta.Artifact, name string) error {
	pointer := meta.Artifact{Path: path.Join(o.dir(), name)}
	target, ok := owned(o, a)
	link, legal := owned(o, &pointer)
	if !ok || !legal {
		return fmt.Errorf("point %q to artifact: %q is not a path of %s %s/%s", name, a.Path, o.Kind, o.Namespace, o.Name)
	}
	temp := path.Join(o.dir(), tempPrefix+rand.Text())
	if err := s.root.Symlink(path.Base(target), temp); err != nil {
		return fmt.Errorf("point %s to its artifact: %w", link, stable(err))
	}
	if err := s.root.Rename(temp, link); err != nil {
		return fmt.Errorf("point %s to its artifact: %w", link, errors.Join(stable(err), s.root.Remove(temp)))
	}
	return nil
}

// Scratch returns a file of the storage without a name: it is gone when it is
// closed, or its process is killed.
func (s *Storage) Scratch() (*os.File, error) {
	name := tempPrefix + rand.Text()
	file, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", stable(err))
	}
	if err := s.root.Remove(name); err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", errors.Join(stable(err), file.Close()))
	}
	return file, nil
}

// followed returns the artifact that a pointer stands for, or name itself if it
// is none.
func (s *Storage) followed(name string) (string, error) {
	info, err := s.root.Lstat(name)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return name, err
	}
	target, err := s.root.Readlink(name)
	if err != nil || path.Base(target) != target {
		return "", fs.ErrNotExist
	}
	return path.Join(path.Dir(name), target), nil
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
