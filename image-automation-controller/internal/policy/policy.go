// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package policy puts the tags of an image in order. It gives what Flux gives
// where Flux has the policy, except that a tag which cannot be ordered is left
// out instead of failing the whole, and that ties do not depend on the order in
// which a registry lists its tags.
package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// What ranking can fail with; to be told apart with errors.Is.
var (
	// ErrNone says that no tag is left. The text says at which step.
	ErrNone = errors.New("no tag is left")
	// ErrTooMany says that an expression would read more than MaxReads
	// candidates from the registry.
	ErrTooMany = errors.New("too many candidates to read")
	// ErrUnreadable is what a Read wraps if this tag cannot be read, now or
	// later, so that it is left out. Any other error ends the ranking: a
	// registry that is slow must not make an older tag the best.
	ErrUnreadable = errors.New("unreadable")
)

// MaxReads bounds how many candidates one ranking reads from the registry.
const MaxReads = 200

// Facts is what an expression over more than the tag reads of a candidate.
type Facts struct {
	// Tag and Digest of the candidate.
	Tag, Digest string
	// Annotations of the manifest, and Labels of the image's config.
	Annotations, Labels map[string]string
}

// Read returns the facts of the candidate that a tag stands for.
type Read func(ctx context.Context, tag string) (Facts, error)

// Policy is a compiled policy with its filter. It can be used by many at a
// time, and keeps nothing between two calls.
type Policy struct {
	text   string
	filter *filter
	ranker ranker
}

// ranker is one kind of policy.
type ranker interface {
	// best returns the best of the candidates, at most limit unless that is
	// 0, the best first.
	best(ctx context.Context, candidates []candidate, limit int, read Read) ([]string, error)
	// above reports whether what is ordered of one tag is above that of
	// another, if both can be ordered.
	above(a, b string) (above, known bool)
	// none says that the candidates, of which there is one at least, are all
	// left out; flux says it as Flux does.
	none(candidates []candidate, cause error) error
	flux(candidates []candidate) error
}

// candidate is a tag, and the part of it that is ordered.
type candidate struct{ text, tag string }

// Compile compiles the policy of an inline image. Field is the path of the
// image in the spec, such as spec.weir.images[0]; errors begin with the path
// of the field at fault, below it.
func Compile(field string, choice imagev1.ImageChoice, tags *imagev1.TagFilter) (*Policy, error) {
	set := 0
	for _, is := range []bool{choice.SemVer != nil, choice.Alphabetical != nil, choice.Numerical != nil, choice.Timestamp != nil, choice.Digest != nil, choice.CEL != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return nil, fmt.Errorf("%s.policy: has %d policies; set one of semver, numerical, alphabetical, timestamp, digest and cel", field, set)
	}
	p := &Policy{}
	var err error
	switch {
	case choice.Timestamp != nil:
		p.ranker, p.text, err = newTimestamp(field+".policy.timestamp.layout", choice.Timestamp.Layout)
	case choice.Digest != nil:
		if tags != nil {
			return nil, fmt.Errorf("%s.filterTags: cannot be used with policy.digest, which follows the tag %q alone", field, choice.Digest.Tag)
		}
		p.ranker, p.text = followed(choice.Digest.Tag), "digest "+choice.Digest.Tag
	case choice.CEL != nil:
		p.ranker, p.text, err = newExpression(field+".policy.cel", choice.CEL)
	default:
		var part string
		if p.ranker, p.text, part, err = newFlux(choice.ImagePolicyChoice); err != nil {
			err = fmt.Errorf("%s.policy.%s: %w", field, part, err)
		}
	}
	if err != nil {
		return nil, err
	}
	if p.filter, err = newBoundedFilter(field+".filterTags", tags); err != nil {
		return nil, err
	}
	return p, nil
}

// CompileFlux compiles the policy of an ImagePolicy. Errors are worded as
// Flux's, and mean that the policy is invalid.
func CompileFlux(choice imagev1.ImagePolicyChoice, tags *imagev1.TagFilter) (*Policy, error) {
	p := &Policy{}
	var err error
	if p.ranker, p.text, _, err = newFlux(choice); err != nil {
		return nil, fmt.Errorf("invalid policy: %w", err)
	}
	if p.filter, err = newFilter(tags); err != nil {
		return nil, fmt.Errorf("failed to filter tags: %w", err)
	}
	return p, nil
}

// Describe returns the policy in one line, such as "semver >=1.0.0".
func (p *Policy) Describe() string { return strings.Join(strings.Fields(p.text), " ") }

// ReadsFacts reports whether ranking reads more of a candidate than its tag.
func (p *Policy) ReadsFacts() bool {
	e, ok := p.ranker.(*expression)
	return ok && e.readsFacts
}

// Latest returns the best of the tags by a policy that reads tags alone, in
// any order given. Errors are worded as Flux's and wrap ErrNone.
func (p *Policy) Latest(ctx context.Context, tags []string) (string, error) {
	candidates := p.filter.apply(tags)
	if len(candidates) == 0 {
		return "", none("version list argument cannot be empty")
	}
	best, err := p.ranker.best(ctx, candidates, 1, nil)
	switch {
	case errors.Is(err, ErrNone):
		return "", p.ranker.flux(candidates)
	case err != nil:
		return "", err
	}
	return best[0], nil
}

// Rank returns the tags that the policy orders, the best first, whatever the
// order in which they are given. Read is called for candidates if ReadsFacts.
// The error is ErrNone, ErrTooMany, one of read's or the end of ctx.
func (p *Policy) Rank(ctx context.Context, tags []string, read Read) ([]string, error) {
	return p.Best(ctx, tags, 0, read)
}

// Best returns the first limit tags of what Rank returns, and costs less: one
// pass over the tags.
func (p *Policy) Best(ctx context.Context, tags []string, limit int, read Read) ([]string, error) {
	if len(tags) == 0 {
		return nil, none("the registry lists no tag that is not excluded")
	}
	candidates := p.filter.apply(tags)
	if len(candidates) == 0 {
		return nil, none(fmt.Sprintf("no tag matches filterTags.pattern %q", p.filter.pattern))
	}
	best, err := p.ranker.best(ctx, candidates, limit, read)
	if errors.Is(err, ErrNone) {
		return nil, p.ranker.none(candidates, err)
	}
	return best, err
}

// Above reports whether tag a ranks above tag b. Known is false if the policy
// does not order them by what the tags say: one that filterTags leaves out, one
// that is no version, number or time, and all with digest or with an
// expression over more than the tag. A version outside of the range of semver
// is ordered all the same: what somebody put there by hand is not to be taken
// back for being too new.
func (p *Policy) Above(a, b string) (above, known bool) {
	candidates := p.filter.apply([]string{a, b})
	if len(candidates) != 2 {
		return false, false
	}
	return p.ranker.above(candidates[0].text, candidates[1].text)
}

// AboveFacts is Above for candidates whose facts are at hand, so that an
// expression over them can order them too.
func (p *Policy) AboveFacts(ctx context.Context, a, b Facts) (above, known bool) {
	e, ok := p.ranker.(*expression)
	if !ok {
		return p.Above(a.Tag, b.Tag)
	}
	candidates := p.filter.apply([]string{a.Tag, b.Tag})
	if len(candidates) != 2 {
		return false, false
	}
	a.Tag, b.Tag = candidates[0].text, candidates[1].text
	return e.aboveFacts(ctx, a, b)
}

// noneError is ErrNone in other words.
type noneError string

func none(text string) error { return noneError(text) }

func (e noneError) Error() string { return string(e) }

// Is implements the interface that errors.Is looks for.
func (e noneError) Is(target error) bool { return target == ErrNone }

// entry is a candidate with what it is ordered by.
type entry[K any] struct {
	candidate
	key K
}

// top collects the best entries. The first of two that are equal is decided by
// the text, then by the tag.
type top[K any] struct {
	limit   int
	compare func(a, b K) int
	// firstText lets the lower text win a tie, not the higher.
	firstText bool
	entries   []entry[K]
}

// order is negative if a goes first.
func (t *top[K]) order(a, b entry[K]) int {
	if by := t.compare(b.key, a.key); by != 0 {
		return by
	}
	if by := strings.Compare(b.text, a.text); by != 0 {
		if t.firstText {
			return -by
		}
		return by
	}
	return strings.Compare(b.tag, a.tag)
}

// wants reports whether an entry would be among the best for now.
func (t *top[K]) wants(e entry[K]) bool {
	full := t.limit > 0 && len(t.entries) == t.limit
	return !full || t.order(e, t.entries[t.limit-1]) < 0
}

// add takes an entry that is wanted.
func (t *top[K]) add(e entry[K]) {
	if t.limit <= 0 {
		t.entries = append(t.entries, e)
		return
	}
	at, found := slices.BinarySearchFunc(t.entries, e, t.order)
	if found {
		return
	}
	if len(t.entries) == t.limit {
		t.entries = t.entries[:t.limit-1]
	}
	t.entries = slices.Insert(t.entries, at, e)
}

// tags returns the tags, the best first.
func (t *top[K]) tags() ([]string, error) {
	if len(t.entries) == 0 {
		return nil, ErrNone
	}
	if t.limit <= 0 {
		slices.SortFunc(t.entries, t.order)
	}
	tags := make([]string, len(t.entries))
	for i, e := range t.entries {
		tags[i] = e.tag
	}
	return slices.Compact(tags), nil
}
