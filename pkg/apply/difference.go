// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/pkg/apply/diff"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Difference tells what would become of one object, or what has.
type Difference struct {
	Ref    inventory.Ref
	Action Action
	// Paths of the fields that differ, as diff.Paths returns them.
	Paths []string
	// Omitted is how many more paths differ.
	Omitted int
}

// severity orders actions: what cannot be undone comes first, and is the last
// to be cut off.
var severity = []Action{Deleted, Recreated, Configured, Created}

// fairPaths is how many paths each object may list before other objects are
// left out for want of room.
const fairPaths = 3

// Bound returns what fits of the differences: at most so many of them, which
// take at most so many bytes as JSON, sorted by action (deleted, recreated,
// configured, created) and then by ID, and how many were left out. To make
// room, objects first lose all but a few of their paths; those are counted in
// Omitted. It does not change what it is given.
func Bound(differences []Difference, entries, bytes int) (kept []Difference, omitted int) {
	sorted := slices.Clone(differences)
	slices.SortStableFunc(sorted, func(a, b Difference) int {
		if a.Action != b.Action {
			return slices.Index(severity, a.Action) - slices.Index(severity, b.Action)
		}
		return strings.Compare(a.Ref.ID(), b.Ref.ID())
	})
	kept = sorted[:min(len(sorted), entries)]
	sizes := make([][]int, len(kept))
	for i, d := range kept {
		sizes[i] = sizesOf(d)
	}
	limit := diff.MaxPaths
	for limit > fairPaths && total(sizes, limit) > bytes {
		limit--
	}
	for len(kept) > 0 && total(sizes[:len(kept)], limit) > bytes {
		kept = kept[:len(kept)-1]
	}
	for i := range kept {
		kept[i] = kept[i].withPaths(limit)
	}
	return kept, len(differences) - len(kept)
}

// withPaths returns d with at most so many paths.
func (d Difference) withPaths(limit int) Difference {
	if rest := len(d.Paths) - limit; rest > 0 {
		d.Paths = d.Paths[:limit:limit]
		d.Omitted += rest
	}
	return d
}

// sizesOf returns how many bytes d takes as JSON, at most, with none of its
// paths, with one, and so on.
func sizesOf(d Difference) []int {
	const frame = len(`{"id":,"action":,"paths":[],"omittedPaths":1000000},`)
	size := frame + quotedSize(d.Ref.ID()) + quotedSize(string(d.Action))
	sizes := []int{size}
	for _, path := range d.Paths {
		size += quotedSize(path) + len(",")
		sizes = append(sizes, size)
	}
	return sizes
}

// total adds up what objects take with at most so many paths each.
func total(sizes [][]int, limit int) int {
	sum := 0
	for _, s := range sizes {
		sum += s[min(len(s)-1, limit)]
	}
	return sum
}

// quotedSize is the length of a text as JSON.
func quotedSize(text string) int {
	data, err := json.Marshal(text)
	if err != nil {
		return 6*len(text) + 2 // the longest that JSON makes of a text
	}
	return len(data)
}
