// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package holdings

// ringSize is how many entries a ring has.
const ringSize = 16384

// ring is the last ringSize of what was pushed.
type ring[T any] struct {
	entries []T
	// total is how many were ever pushed.
	total int64
}

// push adds an entry and returns the one that it replaces, if there is one.
func (r *ring[T]) push(entry T) (replaced T, full bool) {
	at := int(r.total % ringSize)
	r.total++
	if len(r.entries) < ringSize {
		r.entries = append(r.entries, entry)
		return replaced, false
	}
	replaced, r.entries[at] = r.entries[at], entry
	return replaced, true
}

// since returns what was pushed after the first n, as far as it is still there.
func (r *ring[T]) since(n int64) []T {
	var entries []T
	for i := max(n, r.total-int64(len(r.entries))); i < r.total; i++ {
		entries = append(entries, r.entries[i%ringSize])
	}
	return entries
}
