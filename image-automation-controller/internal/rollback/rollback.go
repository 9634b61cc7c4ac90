// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package rollback reads from the history of a branch which images somebody
// took out of it, so that they stay out. It looks at what fields held, never at
// the words of a commit: a revert is a revert whatever it is called.
package rollback

import (
	"slices"

	"github.com/weir-gitops/weir/pkg/oci"
)

// Value is what a field held. The zero value is a field that was not there.
type Value struct {
	// Tag and Digest; each may be empty, as the field has it.
	Tag, Digest string
}

// Same reports whether two values are the same image: by the digest, or by the
// tag where one of them has no digest. So taking the digest away from a tag, or
// adding it, is no change of the image.
func (v Value) Same(w Value) bool {
	if v.Digest != "" && w.Digest != "" {
		return v.Digest == w.Digest
	}
	return v.Tag != "" && v.Tag == w.Tag
}

// Step is one change of one field on the first-parent history of a branch.
type Step struct {
	// Commit that made it, and its author.
	Commit, Author string
	// Writer is the automation that wrote it, as its trailer names it, or
	// empty if it was a person. See Writer.
	Writer string
	// Before and After are what the field held.
	Before, After Value
}

// Rejected is a value that somebody took out.
type Rejected struct {
	Value
	// Commit that took it out, and its author.
	Commit, Author string
}

// Conflict is an automation that takes back what we write.
type Conflict struct {
	// Ours and Theirs are the two automations, as their trailers name them.
	Ours, Theirs string
	// Value that we wrote and they took back, and the commit that did.
	Value  Value
	Commit string
}

// Finding is what the history says of one field, or with Join of one image.
type Finding struct {
	// Rejected are the values that were taken out, the latest first. See
	// Rejects for what they keep out.
	Rejected []Rejected
	// Conflict is nil unless another automation took back what we wrote, and
	// nothing has happened since that settles it.
	Conflict *Conflict
}

// Above reports whether one value ranks above another, as far as that is known.
type Above = func(a, b Value) (above, known bool)

// Judge says what the steps of one field mean, the newest first. Self is the
// automation that asks, as its trailer names it.
//
// A value is rejected if a step that is not ours took it out, for one that does
// not rank above it, or of which that is not known, and no newer step brought
// it back. Cleared reports whether somebody has made a value acceptable again,
// and is the last word. There is a conflict if that step was another
// automation's, we wrote the value, and what came instead ranks below, or is
// what we had replaced; a newer step of a person settles it, or one to this
// value or above it.
//
// What is not among the steps is not known: a commit of ours that was forced
// off the branch leaves no trace, and is no rejection.
func Judge(self string, steps []Step, above Above, cleared func(Value) bool) Finding {
	var found Finding
	for i, s := range steps {
		v := s.Before
		if v == (Value{}) || s.Writer == self || v.Same(s.After) || ranksAbove(above, s.After, v) || cleared(v) {
			continue
		}
		newer, older := steps[:i], steps[i+1:]
		if slices.ContainsFunc(newer, func(n Step) bool { return n.After.Same(v) }) {
			continue
		}
		found.reject(Rejected{Value: v, Commit: s.Commit, Author: s.Author})
		if found.Conflict == nil && s.Writer != "" && takenBack(self, s, older, above) && !settled(v, newer, above) {
			found.Conflict = &Conflict{Ours: self, Theirs: s.Writer, Value: v, Commit: s.Commit}
		}
	}
	return found
}

// ranksAbove reports whether it is known that a ranks above b. What is not
// there ranks above nothing.
func ranksAbove(above Above, a, b Value) bool {
	if a == (Value{}) || b == (Value{}) {
		return false
	}
	higher, known := above(a, b)
	return higher && known
}

// takenBack reports whether a step undoes one of ours: we wrote what it took
// out, and what came instead ranks below, or is what we had replaced.
func takenBack(self string, s Step, older []Step, above Above) bool {
	wrote := slices.IndexFunc(older, func(o Step) bool { return o.After.Same(s.Before) })
	return wrote >= 0 && older[wrote].Writer == self && (ranksAbove(above, s.Before, s.After) || older[wrote].Before.Same(s.After))
}

// settled reports whether a newer step ends a conflict about a value.
func settled(v Value, newer []Step, above Above) bool {
	return slices.ContainsFunc(newer, func(n Step) bool { return n.Writer == "" || ranksAbove(above, n.After, v) })
}

// reject adds a value that is not listed yet.
func (f *Finding) reject(r Rejected) {
	if !slices.ContainsFunc(f.Rejected, func(known Rejected) bool { return known.Same(r.Value) }) {
		f.Rejected = append(f.Rejected, r)
	}
}

// Join is what the findings of all fields of one image mean for the image. What
// was taken out of one of its fields is rejected for all: one value is written
// to all of them, and what somebody found wanting in one place is not spread to
// others. Findings are in the order in which they are listed.
func Join(findings ...Finding) Finding {
	var all Finding
	for _, f := range findings {
		for _, r := range f.Rejected {
			all.reject(r)
		}
		if all.Conflict == nil {
			all.Conflict = f.Conflict
		}
	}
	return all
}

// Rejects returns the rejection that keeps a value out: that of the value
// itself, or of one that ranks above it. Two digests of one tag do not rank: a
// tag that is pushed again is a new candidate, as with a policy that follows a
// tag.
func (f Finding) Rejects(v Value, above Above) (Rejected, bool) {
	for _, r := range f.Rejected {
		if r.Same(v) {
			return r, true
		}
	}
	for _, r := range f.Rejected {
		if ranksAbove(above, r.Value, v) {
			return r, true
		}
	}
	return Rejected{}, false
}

// Writer returns who wrote a value: the automation that the trailers of the
// commit name, if one of the images that they name is that value, and else a
// person. So a revert that quotes our message is not taken for ours, while a
// commit of ours that was rebased, picked or squashed is.
func Writer(automation string, images []string, after Value) string {
	for _, image := range images {
		_, tag, digest, err := oci.SplitReference(image)
		if err == nil && (Value{Tag: tag, Digest: digest}).Same(after) {
			return automation
		}
	}
	return ""
}
