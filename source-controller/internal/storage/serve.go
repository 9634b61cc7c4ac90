// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Open returns a stored file for reading, or an error that is fs.ErrNotExist.
// Nothing but artifacts, and what points to them, is found: no directories, no
// lock files, nothing outside of <kind>/<namespace>/<name>/.
func (s *Storage) Open(name string) (*os.File, error) {
	if !servable(name) {
		return nil, fs.ErrNotExist
	}
	name, err := s.followed(name)
	if err != nil || !servable(name) {
		return nil, fs.ErrNotExist
	}
	info, err := s.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	file, err := s.root.Open(path.Clean(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fs.ErrNotExist
	}
	return file, err
}

// servable reports whether name is where an artifact may be.
func servable(name string) bool {
	if !fs.ValidPath(name) || strings.Count(name, "/") != 3 || strings.HasSuffix(name, lockSuffix) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return false
		}
	}
	return true
}

// Digest returns the digest of an open file and leaves it at its start.
func (s *Storage) Digest(file io.ReadSeeker) (string, error) {
	digester := s.algorithm.Digester()
	if _, err := io.Copy(digester.Hash(), file); err != nil {
		return "", fmt.Errorf("digest artifact: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("digest artifact: %w", err)
	}
	return digester.Digest().String(), nil
}
