// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"slices"
	"strings"
)

// Root returns the directory that holds everything. Its path is empty.
func (c *Commit) Root() Entry { return Entry{Kind: Dir, hash: c.tree, objects: c.objects} }

// Entries returns what is in a directory itself, in the order of Commit.Walk.
func (e Entry) Entries() ([]Entry, error) {
	if e.Kind != Dir {
		return nil, failf(ErrPath, "'%s' is not a directory of the commit", e.Path)
	}
	_, listed, err := e.objects.tree(e.hash)
	if err != nil {
		return nil, err
	}
	prefix := ""
	if e.Path != "" {
		prefix = e.Path + "/"
	}
	entries := make([]Entry, len(listed))
	for i, t := range listed {
		entries[i] = Entry{Path: prefix + t.name, Kind: t.kind, hash: t.hash, objects: e.objects}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, nil
}
