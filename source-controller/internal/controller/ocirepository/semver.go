// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// chartMediaType is that of the layer with a Helm chart. Tags cannot hold the
// "+" of a version, so for charts Helm writes "_", which no version can hold.
const chartMediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// rule says which of a repository's tags is the one.
type rule struct {
	text       string
	constraint *semver.Constraints
	filter     *regexp.Regexp
	chart      bool
}

// newRule reads a range of versions and, unless it is empty, the expression
// that tags have to match.
func newRule(versions, filter, mediaType string) (*rule, error) {
	r := &rule{text: versions, chart: mediaType == chartMediaType}
	var err error
	if r.constraint, err = semver.NewConstraint(versions); err != nil {
		return nil, fmt.Errorf("semver '%s' parse error: %w", versions, err)
	}
	if filter == "" {
		return r, nil
	}
	if r.filter, err = regexp.Compile(filter); err != nil {
		return nil, fmt.Errorf("spec.ref.semverFilter: %w", err)
	}
	return r, nil
}

// pick returns the tag of the highest version in the range. Of tags for
// versions that are equal, it returns the last one in the order of the text.
func (r *rule) pick(tags []string) (string, error) {
	var best *semver.Version
	var chosen string
	for _, tag := range tags {
		if r.filter != nil && !r.filter.MatchString(tag) {
			continue
		}
		version, ok := r.parse(tag)
		if !ok || !r.constraint.Check(version) {
			continue
		}
		if best == nil || version.GreaterThan(best) || version.Equal(best) && tag > chosen {
			best, chosen = version, tag
		}
	}
	if best == nil {
		return "", fmt.Errorf("no match found for semver: %s", r.text)
	}
	return chosen, nil
}

// parse takes a version of three numbers, after a v or not.
func (r *rule) parse(tag string) (*semver.Version, bool) {
	if r.chart {
		tag = strings.ReplaceAll(tag, "_", "+")
	}
	tag = strings.TrimPrefix(tag, "v")
	// Most of what is no version needs no parser, and no error.
	if tag == "" || tag[0] < '0' || tag[0] > '9' {
		return nil, false
	}
	version, err := semver.StrictNewVersion(tag)
	return version, err == nil
}
