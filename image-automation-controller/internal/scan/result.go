// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-gitops/weir/pkg/oci"
)

const (
	// holdFor is how long tags stay unpacked, for others who ask for them in
	// the same moment.
	holdFor = 2 * time.Second
	// maxSelections bounds how many selections of one result stay.
	maxSelections = 16
)

// Result is what a scan found. It holds the tags packed and unpacks them for
// those who ask; it is safe for concurrent use and never changes.
type Result struct {
	// At is when the scan began.
	At time.Time
	// Revision is a checksum of the tags: two results with the same tags have
	// the same.
	Revision string

	validator *oci.Validator
	packed    packed

	mu         sync.Mutex
	selections map[string]*selection
}

// selection is what remains of the tags of a result.
type selection struct {
	tags     []string
	revision string
}

// NewResult returns the result of a scan that began at a time. Tags of cosign
// and of OCI referrers are left out, and so is what is there twice.
func NewResult(at time.Time, tags []string) *Result {
	kept := make([]string, 0, len(tags))
	for _, tag := range tags {
		if !attached(tag) && oci.ValidTag(tag) {
			kept = append(kept, tag)
		}
	}
	slices.Sort(kept)
	kept = slices.Compact(kept)
	return &Result{At: at, Revision: checksum(kept), packed: pack(kept)}
}

// again returns the same tags as the result of a later scan.
func (r *Result) again(at time.Time) *Result {
	return &Result{At: at, Revision: r.Revision, validator: r.validator, packed: r.packed}
}

// Count returns how many tags there are.
func (r *Result) Count() int { return r.packed.count }

// Size returns how many bytes the result holds.
func (r *Result) Size() int64 { return int64(len(r.packed.data)) }

// Tags returns the tags in the order of their bytes, without those under which
// cosign and OCI referrers store attachments. The caller must not change them.
func (r *Result) Tags() []string {
	tags, _ := r.Select(nil)
	return tags
}

// Select returns the tags that match none of the expressions, in the order of
// their bytes, and a checksum of them. The caller must not change them.
func (r *Result) Select(exclude []*regexp.Regexp) (tags []string, revision string) {
	var patterns strings.Builder
	for _, pattern := range exclude {
		patterns.WriteString("\x00" + pattern.String())
	}
	key := patterns.String()

	// The lock is held for the work, so that fifty policies that ask at once
	// share one answer.
	r.mu.Lock()
	defer r.mu.Unlock()
	if held := r.selections[key]; held != nil {
		return held.tags, held.revision
	}
	all := r.selections[""]
	if all == nil {
		all = &selection{tags: r.packed.unpack(), revision: r.Revision}
		r.holdLocked("", all)
	}
	if len(exclude) == 0 {
		return all.tags, all.revision
	}
	chosen := &selection{tags: make([]string, 0, len(all.tags))}
	for _, tag := range all.tags {
		if !slices.ContainsFunc(exclude, func(pattern *regexp.Regexp) bool { return pattern.MatchString(tag) }) {
			chosen.tags = append(chosen.tags, tag)
		}
	}
	chosen.revision = all.revision
	if len(chosen.tags) != len(all.tags) {
		chosen.revision = checksum(chosen.tags)
	}
	r.holdLocked(key, chosen)
	return chosen.tags, chosen.revision
}

// holdLocked keeps a selection for a moment.
func (r *Result) holdLocked(key string, s *selection) {
	if r.selections == nil {
		r.selections = map[string]*selection{}
		time.AfterFunc(holdFor, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.selections = nil
		})
	}
	if len(r.selections) < maxSelections {
		r.selections[key] = s
	}
}

// checksum returns a text that differs for different lists.
func checksum(tags []string) string {
	h := sha256.New()
	for _, tag := range tags {
		_, _ = h.Write([]byte(tag))
		_, _ = h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// attached says whether a tag is one under which cosign, or a registry without
// the referrers API, stores what belongs to a manifest: sha256-<hex> and
// sha256-<hex>.<kind>.
func attached(tag string) bool {
	const digits = 64
	rest, found := strings.CutPrefix(tag, "sha256-")
	if !found || len(rest) < digits || strings.Trim(rest[:digits], "0123456789abcdef") != "" {
		return false
	}
	return len(rest) == digits || rest[digits] == '.'
}
