// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// anyVersion is the range of all versions that are no pre-releases.
const anyVersion = "*"

// pick returns the version that is meant by want: the one of exactly this text,
// or else the highest in this range. Of versions that are equal, which differ
// in their metadata, the one that was created last wins, and then the first.
func pick(entries []Entry, name, want string) (Entry, error) {
	for _, entry := range entries {
		if want != "" && entry.Version == want {
			return entry, nil
		}
	}
	if want == "" {
		want = anyVersion
	}
	constraint, err := semver.NewConstraint(want)
	if err != nil {
		return Entry{}, fmt.Errorf("'%s' is neither a version of the chart '%s' nor a range of versions: %w", shorten(want), shorten(name), err)
	}
	var best *Entry
	var highest *semver.Version
	for i, entry := range entries {
		version, err := parseVersion(entry.Version)
		if err != nil || !constraint.Check(version) {
			continue
		}
		if best == nil || version.GreaterThan(highest) || version.Equal(highest) && entry.created.After(best.created) {
			best, highest = &entries[i], version
		}
	}
	if best == nil {
		return Entry{}, fmt.Errorf("no '%s' chart with version matching '%s' found", shorten(name), shorten(want))
	}
	return *best, nil
}

// parseVersion reads a whole semantic version, which may begin with a v.
func parseVersion(text string) (*semver.Version, error) {
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v")); err != nil {
		return nil, err
	}
	return semver.NewVersion(text)
}

// parseLenient reads what Helm accepts as the version of a chart.
func parseLenient(text string) (*semver.Version, error) { return semver.NewVersion(text) }
