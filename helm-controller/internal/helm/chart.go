// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v3/pkg/chart"
)

// shortDigest is how much of a digest goes into the version of a chart.
const shortDigest = 12

// Chart is a chart as its artifact has it. It does not change.
type Chart struct {
	// Name, Version and AppVersion are those of Chart.yaml; Version may carry a
	// digest, see Pinned.
	Name, Version, AppVersion string
	// Digest of the artifact.
	Digest string

	parsed *chart.Chart
	size   int64
	// number is of this process's own, so that a chart that was given to a process
	// that renders is taken for no other one.
	number uint64
}

// newChart returns a chart. No two of a process may have the same number.
func newChart(parsed *chart.Chart, digest string, number uint64) *Chart {
	out := &Chart{
		Name: parsed.Name(), Version: parsed.Metadata.Version, AppVersion: parsed.AppVersion(),
		Digest: digest, parsed: parsed, size: trim(parsed), number: number,
	}
	return out
}

// trim drops what no action reads, and returns the size of the rest.
func trim(c *chart.Chart) int64 {
	c.Raw = nil
	size := int64(len(c.Schema)) + 1024
	for _, files := range [][]*chart.File{c.Templates, c.Files} {
		for _, file := range files {
			size += int64(len(file.Name)+len(file.Data)) + 64
		}
	}
	for _, sub := range c.Dependencies() {
		size += trim(sub)
	}
	return size
}

// Values returns the chart's own values, which the caller may change.
func (c *Chart) Values() map[string]any { return copyTable(c.parsed.Values) }

// Pinned returns the chart with the digest of its source's revision in its
// version, as 1.2.3+0123456789ab, and that digest. A tag may come to mean
// another chart, and the digest tells. The revision is <tag>@<algorithm>:<hex>
// or <algorithm>:<hex>; a tag that is a version has to be the chart's. If track
// is false the version stays as it is.
func (c *Chart) Pinned(revision string, track bool) (*Chart, string, error) {
	version, err := semver.NewVersion(c.Version)
	if err != nil {
		return nil, "", fmt.Errorf("the version %q of chart %s is not a semantic version", c.Version, c.Name)
	}
	digest := revision
	if tag, rest, ok := strings.Cut(revision, "@"); ok {
		// A tag cannot hold a plus sign.
		tagged, err := semver.NewVersion(strings.ReplaceAll(tag, "_", "+"))
		if err == nil {
			if !tagged.Equal(version) {
				return nil, "", fmt.Errorf("artifact revision %s does not match chart version %s", tag, c.Version)
			}
		}
		digest = rest
	}
	_, sum, ok := strings.Cut(digest, ":")
	if !ok || len(sum) < shortDigest {
		return nil, "", fmt.Errorf("artifact revision %s holds no digest", revision)
	}
	pinned, err := version.SetMetadata(sum[:shortDigest])
	if err != nil {
		return nil, "", fmt.Errorf("artifact revision %s: %w", revision, err)
	}
	out := *c
	if track {
		out.Version = pinned.String()
	}
	return &out, digest, nil
}

// copyChart returns a chart for one action. What processing its dependencies
// changes is its own: metadata, values and the tree of charts. Files are shared by
// all.
func copyChart(c *chart.Chart) *chart.Chart {
	metadata := *c.Metadata
	metadata.Dependencies = slices.Clone(c.Metadata.Dependencies)
	for i, dependency := range metadata.Dependencies {
		if dependency == nil {
			continue
		}
		own := *dependency
		own.ImportValues = slices.Clone(dependency.ImportValues)
		metadata.Dependencies[i] = &own
	}
	out := &chart.Chart{
		Metadata: &metadata, Lock: c.Lock, Templates: c.Templates, Values: copyTable(c.Values),
		Schema: c.Schema, Files: c.Files,
	}
	for _, sub := range c.Dependencies() {
		out.AddDependency(copyChart(sub))
	}
	return out
}

// copyTable copies values deeply; what is not a table or a list cannot change.
func copyTable(in map[string]any) map[string]any {
	if in == nil {
		return nil
	}
	out := maps.Clone(in)
	for key, value := range out {
		out[key] = copyValue(value)
	}
	return out
}

func copyValue(in any) any {
	switch value := in.(type) {
	case map[string]any:
		return copyTable(value)
	case []any:
		out := slices.Clone(value)
		for i := range out {
			out[i] = copyValue(out[i])
		}
		return out
	}
	return in
}
