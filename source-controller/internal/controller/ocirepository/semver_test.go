// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository

import (
	"slices"
	"testing"
)

func TestPick(t *testing.T) {
	t.Parallel()
	const flux = "application/vnd.cncf.flux.content.v1.tar+gzip"
	tags := []string{"latest", "1", "1.2", "1.0.0", "v1.1.0", "1.1.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0_b", "01.0.0", "1.2.0.4", "", "v", "1.2.0-gpu"}
	tests := map[string]struct {
		versions, filter, mediaType string
		tags                        []string
		want                        string
	}{
		"highest":           {"*", "", "", tags, "1.10.0"},
		"range":             {"<1.9.0", "", "", tags, "v1.1.0"},
		"pre-release":       {">=1.0.0-0", "", "", tags, "2.0.0-rc.1"},
		"filter":            {">=1.0.0-0", "-gpu$", flux, tags, "1.2.0-gpu"},
		"filter before v":   {"1.1.0", "^1", "", tags, "1.1.0"},
		"chart":             {"2.x", "", chartMediaType, tags, "2.0.0_b"},
		"chart, only there": {"2.x", "", flux, tags, ""},
		"builds":            {"*", "", chartMediaType, []string{"1.0.0_a", "1.0.0_c", "1.0.0_b"}, "1.0.0_c"},
		"nothing":           {"3.x", "", "", tags, ""},
		"no tags":           {"*", "", "", nil, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rule, err := newRule(tc.versions, tc.filter, tc.mediaType)
			if err != nil {
				t.Fatal(err)
			}
			reversed := slices.Clone(tc.tags)
			slices.Reverse(reversed)
			for _, list := range [][]string{tc.tags, reversed} {
				got, err := rule.pick(list)
				if got != tc.want || (err == nil) != (tc.want != "") {
					t.Errorf("%q, %v; want %q", got, err, tc.want)
				}
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ url, want, err string }{
		"port":         {"oci://registry:5000/team/app", "registry:5000/team/app", ""},
		"no team":      {"oci://ghcr.io/app", "ghcr.io/app", ""},
		"short":        {"oci://alpine", "index.docker.io/library/alpine", ""},
		"tag":          {"oci://ghcr.io/app:v1", "", "URL must not contain a tag; remove ':v1'"},
		"digest":       {"oci://ghcr.io/app@sha256:x", "", `value holds a digest that is not sha256 and 64 hexadecimal digits: "sha256:x"`},
		"other scheme": {"https://ghcr.io/app", "", "URL must be in format 'oci://<domain>/<org>/<repo>'"},
		"twice":        {"oci://oci://ghcr.io/app", "", "URL must be in format 'oci://<domain>/<org>/<repo>'"},
		"upper case":   {"oci://ghcr.io/App", "", `value is not the name of a repository: "ghcr.io/App"`},
		"path":         {"oci://ghcr.io/../x", "", `value is not the name of a repository: "ghcr.io/../x"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, err := parseURL(tc.url)
			if err == nil && repo.String() != tc.want || err != nil && err.Error() != tc.err {
				t.Errorf("%s, %v; want %s, %s", repo, err, tc.want, tc.err)
			}
		})
	}
}
