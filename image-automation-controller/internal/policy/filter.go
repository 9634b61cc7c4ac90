// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// filter leaves out tags, and says what of a tag is ordered.
type filter struct {
	pattern string
	match   *regexp.Regexp // nil lets all pass
	extract string
}

// newFilter words errors as Flux does.
func newFilter(tags *imagev1.TagFilter) (*filter, error) {
	if tags == nil {
		return &filter{}, nil
	}
	match, err := regexp.Compile(tags.Pattern)
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression pattern '%s': %w", tags.Pattern, err)
	}
	return &filter{pattern: tags.Pattern, match: match, extract: tags.Extract}, nil
}

// maxPattern bounds the length of a regular expression in bytes.
const maxPattern = 2048

// newBoundedFilter also refuses what Flux lets pass: an expression that is
// long, and an extract of a group that is not there, which would be empty for
// every tag.
func newBoundedFilter(field string, tags *imagev1.TagFilter) (*filter, error) {
	if tags == nil {
		return &filter{}, nil
	}
	if len(tags.Pattern) > maxPattern || len(tags.Extract) > maxPattern {
		return nil, fmt.Errorf("%s: pattern and extract have at most %d bytes each", field, maxPattern)
	}
	f, err := newFilter(tags)
	if err != nil {
		return nil, fmt.Errorf("%s.pattern: %w", field, err)
	}
	group := regexp.MustCompile(`\$(?:\$|(\w+)|\{(\w+)\})`)
	for _, found := range group.FindAllStringSubmatch(tags.Extract, -1) {
		name := found[1] + found[2]
		number, err := strconv.Atoi(name)
		switch {
		case name == "", err == nil && number <= f.match.NumSubexp(), err != nil && slices.Contains(f.match.SubexpNames(), name):
		default:
			return nil, fmt.Errorf("%s.extract: pattern has no group %q; name one as in (?P<%[2]s>...), and write ${1}x for a group that text follows", field, name)
		}
	}
	return f, nil
}

// apply returns the candidates in the order of tags.
func (f *filter) apply(tags []string) []candidate {
	candidates := make([]candidate, 0, len(tags))
	for _, tag := range tags {
		text := tag
		if f.match != nil {
			if f.extract == "" {
				if !f.match.MatchString(tag) {
					continue
				}
			} else {
				groups := f.match.FindStringSubmatchIndex(tag)
				if groups == nil {
					continue
				}
				text = string(f.match.ExpandString(nil, f.extract, tag, groups))
			}
		}
		candidates = append(candidates, candidate{text: text, tag: tag})
	}
	return candidates
}
