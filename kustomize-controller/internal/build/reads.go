// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"slices"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// Reads is what a build has read of its artifact, and what it has looked for there in vain. As long as that is the same in
// another artifact, the same spec and the same variables build the same objects from it. It is safe for concurrent use,
// and holds no contents.
type Reads struct {
	parts []*overlay.Reads
}

// Unchanged tells whether all of it is the same in the artifact that is unpacked in root. A nil Reads never is, nor is
// anything in a directory that cannot be opened.
func (r *Reads) Unchanged(root string) bool {
	if r == nil {
		return false
	}
	tree, err := overlay.Open(root)
	if err != nil {
		return false
	}
	defer func() { _ = tree.Close() }()
	return !slices.ContainsFunc(r.parts, func(part *overlay.Reads) bool { return !part.Same(tree) })
}

// Size is about how many bytes r takes in memory, shared ones included.
func (r *Reads) Size() int64 {
	if r == nil {
		return 0
	}
	total := int64(64)
	for _, part := range r.parts {
		total += part.Size()
	}
	return total
}

// joinReads returns what a build has read in its steps, or nil if one of them cannot tell. With decryption it is nil: then
// the objects depend on keys as well, and only a build shows that these still open what they have to.
func joinReads(spec *kustomizev1.KustomizationSpec, parts ...*overlay.Reads) *Reads {
	if spec.Decryption != nil || slices.Contains(parts, nil) {
		return nil
	}
	return &Reads{parts: parts}
}

func sizeOf(reads *overlay.Reads) int64 {
	if reads == nil {
		return 0
	}
	return reads.Size()
}
