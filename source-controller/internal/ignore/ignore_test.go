// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ignore

import (
	"strings"
	"testing"
)

func TestMatcher(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files   map[string]string
		spec    string
		ignored []string // a slash at the end marks a directory
		kept    []string
	}{
		"defaults": {
			nil, "",
			[]string{".git/", ".git/config", ".gitignore", "a/.gitmodules", "a.jpg", "d/b.zip", "c.tar.gz", ".github/", ".github/workflows/ci.yaml", ".travis.yml", "x/.sops.yaml"},
			[]string{"a.yaml", ".sourceignore", "git/", "a.tgz"},
		},
		"any pattern replaces the defaults but those of version control": {
			nil, "*.txt",
			[]string{".git/", ".gitattributes", "a.txt", "d/e.txt"},
			[]string{"a.jpg", ".github/", "a.yaml"},
		},
		"an ignore file at the root": {
			map[string]string{".sourceignore": "# comment\n\n/*\n!/deploy\n"}, "",
			[]string{"docs/", "README.md", ".sourceignore"},
			[]string{"deploy/", "deploy/a.yaml"},
		},
		"an ignore file below counts there": {
			map[string]string{"apps/.sourceignore": "*.md"}, "",
			[]string{"apps/x.md", "apps/b/y.md"},
			[]string{"x.md", "other/x.md"},
		},
		"the deeper file wins": {
			map[string]string{"apps/.sourceignore": "!x.md", ".sourceignore": "*.md"}, "",
			[]string{"x.md", "apps/y.md"},
			[]string{"apps/x.md"},
		},
		"the spec wins": {
			map[string]string{".sourceignore": "*.md"}, "!x.md\n/secret",
			[]string{"y.md", "secret", "secret/a"},
			[]string{"x.md", "d/secret"},
		},
		"a file of comments has no pattern": {
			map[string]string{".sourceignore": "# nothing"}, "",
			[]string{"a.jpg"}, []string{"a.yaml"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p Patterns
			for file, content := range tc.files {
				p.AddFile(file, strings.NewReader(content))
			}
			if tc.spec != "" {
				p.Spec(tc.spec)
			}
			match := p.Matcher()
			for want, names := range map[bool][]string{true: tc.ignored, false: tc.kept} {
				for _, name := range names {
					bare, isDir := strings.CutSuffix(name, "/")
					if got := match(bare, isDir); got != want {
						t.Errorf("%s: ignored = %v, want %v", name, got, want)
					}
				}
			}
		})
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add("*.md\n!x", "a/x.md")
	f.Add("[", "a")
	f.Add("**/\\", "a/b")
	f.Fuzz(func(t *testing.T, patterns, name string) {
		var p Patterns
		p.AddFile(File, strings.NewReader(patterns))
		p.Spec(patterns)
		if match := p.Matcher(); !match(".git", true) && !strings.Contains(patterns, "!") {
			t.Error(".git is not ignored")
		} else {
			match(name, false)
		}
	})
}
