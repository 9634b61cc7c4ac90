// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package storage keeps artifacts on disk: one tar.gz per revision, below
// <kind>/<namespace>/<name>/, in Flux's layout and format.
//
// The disk is a cache. Whatever disappears or rots there is noticed at the
// next reconcile and built again.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/opencontainers/go-digest"
)

// The classes of failure that callers tell apart with errors.Is.
var (
	// ErrMissing: the artifact is not in the storage.
	ErrMissing = errors.New("artifact is not in storage")
	// ErrMismatch: the file is not the one that the artifact describes.
	ErrMismatch = errors.New("artifact does not match its digest")
	// ErrTooLarge: the artifact exceeds the limit; the text has the number.
	ErrTooLarge = errors.New("artifact too large")
	// ErrLocked: another process writes the artifact.
	ErrLocked = errors.New("artifact is locked")
)

const (
	lockSuffix = ".lock"
	tempPrefix = ".tmp-"
	// staleTemp is the age at which a temporary file counts as left behind by
	// a process that was killed.
	staleTemp = time.Hour
)

// Options are the settings of a Storage.
type Options struct {
	// Path of the directory to use; it must exist.
	Path string
	// Host is what the URLs of artifacts begin with: "host", "host:port", or
	// a URL.
	Host string
	// RetentionTTL is how long an artifact is kept after it was replaced.
	RetentionTTL time.Duration
	// RetentionRecords is how many artifacts of one object are kept at most,
	// the current one among them.
	RetentionRecords int
	// Digest is the algorithm: "sha256", "sha384" or "sha512".
	Digest string
	// MaxSize is how many bytes the files of one artifact may have in total,
	// before compression.
	MaxSize int64
}

// Storage writes artifacts and checks on them. It is safe for concurrent use
// on different objects.
type Storage struct {
	options   Options
	algorithm digest.Algorithm
	root      *os.Root
	now       func() time.Time
}

// New opens the storage.
func New(o Options) (*Storage, error) {
	algorithm := digest.Algorithm(o.Digest)
	switch algorithm {
	case digest.SHA256, digest.SHA384, digest.SHA512:
	default:
		return nil, fmt.Errorf("digest algorithm %q is none of sha256, sha384, sha512", o.Digest)
	}
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the storage: %w", err)
	}
	return &Storage{options: o, algorithm: algorithm, root: root, now: time.Now}, nil
}

// Object names what an artifact belongs to.
type Object struct{ Kind, Namespace, Name string }

// dir is the directory of the object's artifacts.
func (o Object) dir() string {
	return path.Join(strings.ToLower(o.Kind), o.Namespace, o.Name)
}

// Objects returns whose artifacts are stored. The kinds are those of their
// directories, in lower case.
func (s *Storage) Objects() ([]Object, error) {
	var objects []Object
	err := fs.WalkDir(s.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		parts := strings.Split(name, "/")
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // It went while we looked.
		case err != nil:
			return err
		case name == "." || !entry.IsDir():
		case strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case len(parts) == 3:
			objects = append(objects, Object{Kind: parts[0], Namespace: parts[1], Name: parts[2]})
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the stored artifacts: %w", err)
	}
	return objects, nil
}

// Artifact returns the description of a file that may be stored for o, without
// digest, size and time.
func (s *Storage) Artifact(o Object, revision, file string) meta.Artifact {
	a := meta.Artifact{Path: path.Join(o.dir(), file), Revision: revision}
	s.SetURL(&a)
	return a
}

// SetURL makes the artifact's URL the one that this storage is served at.
func (s *Storage) SetURL(a *meta.Artifact) {
	host := s.options.Host
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	a.URL = strings.TrimSuffix(host, "/") + "/" + strings.TrimPrefix(a.Path, "/")
}

// owned returns the artifact's path if it is a file in the directory of o:
// paths come from a status that others may have written.
func owned(o Object, a *meta.Artifact) (string, bool) {
	name := path.Clean(a.Path)
	file := path.Base(name)
	ok := path.Dir(name) == o.dir() && !strings.HasPrefix(file, ".") && !strings.HasSuffix(file, lockSuffix)
	return name, ok
}

// Verify reads the stored file and returns nil if it is what the artifact
// says, and otherwise ErrMissing, ErrMismatch or why it cannot tell.
func (s *Storage) Verify(ctx context.Context, o Object, a *meta.Artifact) error {
	name, ok := owned(o, a)
	if !ok {
		return ErrMissing
	}
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return ErrMissing
	}
	if err != nil {
		return fmt.Errorf("verify artifact %s: %w", name, err)
	}
	want, err := digest.Parse(a.Digest)
	if err != nil {
		return fmt.Errorf("%w: %q is not a digest", ErrMismatch, a.Digest)
	}
	file, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("verify artifact %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	verifier := want.Verifier()
	if _, err := io.Copy(verifier, &contextReader{ctx, file}); err != nil {
		return fmt.Errorf("verify artifact %s: %w", name, err)
	}
	if !verifier.Verified() {
		return fmt.Errorf("%w: computed digest doesn't match '%s'", ErrMismatch, want)
	}
	return nil
}

// Remove deletes the stored file of an artifact; one that is not there is no
// error.
func (s *Storage) Remove(o Object, a *meta.Artifact) error {
	name, ok := owned(o, a)
	if !ok {
		return nil
	}
	for _, file := range []string{name, name + lockSuffix} {
		if err := s.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove artifact %s: %w", name, err)
		}
	}
	return nil
}

// RemoveAll deletes everything stored for an object, and reports whether there
// was something.
func (s *Storage) RemoveAll(o Object) (bool, error) {
	if _, err := s.root.Lstat(o.dir()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err := s.root.RemoveAll(o.dir()); err != nil {
		return false, fmt.Errorf("remove the artifacts of %s %s/%s: %w", o.Kind, o.Namespace, o.Name, err)
	}
	return true, nil
}

// contextReader stops reading when its context ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // Lives as long as one copy.
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
