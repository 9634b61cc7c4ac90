// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
)

// stored is one file in the directory of an object.
type stored struct {
	name    string
	written time.Time
}

// Collect deletes what is past its retention: artifacts that were replaced
// longer ago than the TTL, then the oldest ones beyond the number of records,
// never the current one. It also deletes what a killed process left half
// written. It returns the number of deleted artifacts.
func (s *Storage) Collect(o Object, current *meta.Artifact) (int, error) {
	entries, err := fs.ReadDir(s.root.FS(), o.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("collect the artifacts of %s %s/%s: %w", o.Kind, o.Namespace, o.Name, err)
	}
	var artifacts []stored
	var failed []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || entry.IsDir() {
			continue
		}
		file := stored{name: path.Join(o.dir(), entry.Name()), written: info.ModTime()}
		switch {
		case strings.HasPrefix(entry.Name(), tempPrefix):
			if s.now().Sub(file.written) > staleTemp {
				failed = append(failed, s.root.Remove(file.name))
			}
		case strings.HasSuffix(entry.Name(), lockSuffix), info.Mode()&fs.ModeSymlink != 0:
		default:
			artifacts = append(artifacts, file)
		}
	}
	keep := ""
	if current != nil {
		keep, _ = owned(o, current)
	}
	garbage := expired(artifacts, keep, s.now(), s.options.RetentionTTL, s.options.RetentionRecords)
	for _, name := range garbage {
		failed = append(failed, s.root.Remove(name))
		if err := s.root.Remove(name + lockSuffix); !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return len(garbage), errors.Join(failed...)
}

// expired decides which artifacts go. One was replaced when the next one was
// written: whoever read the status just before still needs it then, however
// old it is.
func expired(artifacts []stored, keep string, now time.Time, ttl time.Duration, records int) []string {
	slices.SortFunc(artifacts, func(a, b stored) int {
		if c := a.written.Compare(b.written); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	left := len(artifacts)
	var garbage []string
	for i, a := range artifacts {
		replaced := a.written
		if i+1 < len(artifacts) {
			replaced = artifacts[i+1].written
		}
		if a.name != keep && (now.Sub(replaced) > ttl || left > records) {
			garbage = append(garbage, a.name)
			left--
		}
	}
	return garbage
}
