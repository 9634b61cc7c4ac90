// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/weir-gitops/weir/pkg/testkit/rig"
)

// Object is a source.
type Object interface {
	rig.Object
	GetArtifact() *fluxmeta.Artifact
}

// Objects drives the source of one kind and name in the namespace of a test.
type Objects[T Object] struct {
	*Suite
	rig.Objects[T]
}

// Of returns what drives a source of a kind and a name; empty makes an empty
// one.
func Of[T Object](s *Suite, kind, name string, empty func() T) Objects[T] {
	return Objects[T]{Suite: s, Objects: rig.Objects[T]{In: s.Suite, Kind: kind, Name: name, Make: empty}}
}

// AwaitRevision waits until the object is ready with the artifact of a
// revision.
func (s *Objects[T]) AwaitRevision(revision string) T {
	s.Helper()
	return s.Await("is ready with "+revision, func(obj T) bool { return s.IsCurrent(obj) && obj.GetArtifact().HasRevision(revision) })
}

// File is where the artifact is on disk.
func (s *Objects[T]) File(obj T) string { return filepath.Join(s.Storage, obj.GetArtifact().Path) }

// Files returns the names of what is in the object's directory and fits a
// pattern.
func (s *Objects[T]) Files(pattern string) []string {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.Storage, strings.ToLower(s.Kind), s.Namespace, s.Name, pattern))
	s.Must(err)
	return files
}

// LoseDisk empties the storage.
func (s *Suite) LoseDisk() {
	s.Helper()
	entries, err := os.ReadDir(s.Storage)
	s.Must(err)
	for _, entry := range entries {
		s.Must(os.RemoveAll(filepath.Join(s.Storage, entry.Name())))
	}
}
