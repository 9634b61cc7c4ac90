// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// ordering is a policy that orders tags by something that is read from them.
type ordering[K any] struct {
	parse   func(text string) (K, bool)
	compare func(a, b K) int
	// selects leaves out keys that are ordered but not wanted; nil wants all.
	selects   func(K) bool
	firstText bool
	// left says why nothing is left, and fluxLeft as Flux does, of candidates
	// of which the first by the alphabet is given.
	left     string
	fluxLeft func(first string) string
}

// best implements ranker.
func (o *ordering[K]) best(ctx context.Context, candidates []candidate, limit int, _ Read) ([]string, error) {
	best := top[K]{limit: limit, compare: o.compare, firstText: o.firstText}
	for i, c := range candidates {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		key, ok := o.parse(c.text)
		if !ok {
			continue
		}
		e := entry[K]{candidate: c, key: key}
		if best.wants(e) && (o.selects == nil || o.selects(key)) {
			best.add(e)
		}
	}
	return best.tags()
}

// above implements ranker.
func (o *ordering[K]) above(a, b string) (above, known bool) {
	first, ok := o.parse(a)
	if !ok {
		return false, false
	}
	second, ok := o.parse(b)
	return ok && o.compare(first, second) > 0, ok
}

// none implements ranker.
func (o *ordering[K]) none(_ []candidate, _ error) error { return none(o.left) }

// flux implements ranker.
func (o *ordering[K]) flux(candidates []candidate) error {
	return none(o.fluxLeft(slices.MinFunc(candidates, func(a, b candidate) int { return strings.Compare(a.text, b.text) }).text))
}

// newFlux makes one of the policies that Flux has. Part is the field below
// policy that an error is about; its text is worded as Flux does.
func newFlux(choice imagev1.ImagePolicyChoice) (r ranker, text, part string, err error) {
	switch {
	case choice.SemVer != nil:
		constraint, err := semver.NewConstraint(choice.SemVer.Range)
		if err != nil {
			return nil, "", "semver.range", err
		}
		return newSemver(choice.SemVer.Range, constraint), "semver " + choice.SemVer.Range, "", nil
	case choice.Alphabetical != nil:
		sign, suffix, err := direction(choice.Alphabetical.Order)
		if err != nil {
			return nil, "", "alphabetical.order", err
		}
		return &ordering[string]{
			parse:   func(text string) (string, bool) { return text, true },
			compare: func(a, b string) int { return sign * strings.Compare(a, b) },
		}, "alphabetical" + suffix, "", nil
	case choice.Numerical != nil:
		sign, suffix, err := direction(choice.Numerical.Order)
		if err != nil {
			return nil, "", "numerical.order", err
		}
		return &ordering[float64]{
			parse:    parseNumber,
			compare:  func(a, b float64) int { return sign * cmp.Compare(a, b) },
			left:     "no tag is a number, or what filterTags.extract takes of it",
			fluxLeft: func(first string) string { return fmt.Sprintf("failed to parse invalid numeric value '%s'", first) },
		}, "numerical" + suffix, "", nil
	}
	return nil, "", "", errors.New("given ImagePolicyChoice object is invalid")
}

func direction(order string) (sign int, suffix string, err error) {
	switch order = strings.ToUpper(order); order {
	case "", "ASC":
		return 1, "", nil
	case "DESC":
		return -1, " desc", nil
	}
	return 0, "", fmt.Errorf("invalid order argument provided: '%s', must be one of: ASC, DESC", order)
}

func newSemver(limits string, constraint *semver.Constraints) ranker {
	return &ordering[*semver.Version]{
		parse:     parseVersion,
		compare:   (*semver.Version).Compare,
		selects:   constraint.Check,
		firstText: true,
		left:      fmt.Sprintf("no tag is a version in the range %q, or what filterTags.extract takes of it", limits),
		fluxLeft:  func(string) string { return "unable to determine latest version from provided list" },
	}
}

// parseVersion takes a version of three numbers, after a v or not, as Flux.
func parseVersion(text string) (*semver.Version, bool) {
	text = strings.TrimPrefix(text, "v")
	// Most of what is no version needs no parser, and no error.
	if text == "" || text[0] < '0' || text[0] > '9' || strings.IndexByte(text, '.') < 0 {
		return nil, false
	}
	version, err := semver.StrictNewVersion(text)
	return version, err == nil
}

// parseNumber takes what Flux takes, except for words: a tag named nan or inf
// is no number that anybody meant.
func parseNumber(text string) (float64, bool) {
	if text == "" || text[0] != '-' && text[0] != '+' && text[0] != '.' && (text[0] < '0' || text[0] > '9') {
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil && !math.IsNaN(number) && !math.IsInf(number, 0)
}

// newTimestamp orders by the time that a tag tells.
func newTimestamp(field, layout string) (r ranker, text string, err error) {
	example := time.Date(2025, time.November, 23, 14, 35, 46, 0, time.UTC)
	written := example.Format(layout)
	if written == layout {
		return nil, "", fmt.Errorf("%s: %q tells nothing of a time; write how 2 January 2006, 15:04:05 would be written, such as 20060102-150405", field, layout)
	}
	if _, err := time.Parse(layout, written); err != nil {
		return nil, "", fmt.Errorf("%s: %q cannot be read back, %q would be a time; separate its parts", field, layout, written)
	}
	return &ordering[time.Time]{
		parse: func(text string) (time.Time, bool) {
			at, err := time.ParseInLocation(layout, text, time.UTC)
			return at, err == nil
		},
		compare: time.Time.Compare,
		left:    fmt.Sprintf("no tag is a time in the layout %q, or what filterTags.extract takes of it", layout),
	}, "timestamp " + layout, nil
}

// followed is a policy that follows one tag.
type followed string

// best implements ranker.
func (f followed) best(_ context.Context, candidates []candidate, _ int, _ Read) ([]string, error) {
	if slices.ContainsFunc(candidates, func(c candidate) bool { return c.tag == string(f) }) {
		return []string{string(f)}, nil
	}
	return nil, ErrNone
}

// above implements ranker: nothing says which digest is newer.
func (f followed) above(_, _ string) (above, known bool) { return false, false }

// none implements ranker.
func (f followed) none(_ []candidate, _ error) error {
	return none(fmt.Sprintf("there is no tag %q", string(f)))
}

// flux implements ranker. Flux has no such policy.
func (f followed) flux(candidates []candidate) error { return f.none(candidates, nil) }
