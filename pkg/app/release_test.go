// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import "testing"

func TestReleasePatch(t *testing.T) {
	ours := []string{"a", "b"}
	for name, tc := range map[string]struct {
		has  []string
		want string
	}{
		"none":       {nil, ""},
		"foreign":    {[]string{"x", "y"}, ""},
		"ours":       {[]string{"a"}, `[{"op":"test","path":"/metadata/finalizers/0","value":"a"},{"op":"remove","path":"/metadata/finalizers/0"}]`},
		"in between": {[]string{"x", "b", "y"}, `[{"op":"test","path":"/metadata/finalizers/1","value":"b"},{"op":"remove","path":"/metadata/finalizers/1"}]`},
		// From the end, so that what is removed first does not move the others.
		"both": {
			[]string{"a", "x", "b"},
			`[{"op":"test","path":"/metadata/finalizers/2","value":"b"},{"op":"remove","path":"/metadata/finalizers/2"},` +
				`{"op":"test","path":"/metadata/finalizers/0","value":"a"},{"op":"remove","path":"/metadata/finalizers/0"}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(releasePatch(tc.has, ours)); got != tc.want {
				t.Errorf("patch %s, want %s", got, tc.want)
			}
		})
	}
}
