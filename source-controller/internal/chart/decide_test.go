// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestPick(t *testing.T) {
	t.Parallel()
	entries := []Entry{
		{Version: "0.9.0"}, {Version: "1.2.0"},
		{Version: "1.10.0+a", created: time.Unix(1, 0)}, {Version: "1.10.0+b", created: time.Unix(2, 0)},
		{Version: "v1.3.0"}, {Version: "2.0.0-rc.1"}, {Version: "1.5"}, {Version: "latest"},
	}
	for want, version := range map[string]string{
		"":              "1.10.0+b",
		"*":             "1.10.0+b",
		"1.2.0":         "1.2.0",
		"1.10.0+a":      "1.10.0+a",
		"1.3.0":         "v1.3.0",
		"~1.2":          "1.2.0",
		"<1":            "0.9.0",
		">=1.2 <1.4":    "v1.3.0",
		">=2.0.0-0":     "2.0.0-rc.1",
		"2.0.0-rc.1":    "2.0.0-rc.1",
		"1.5":           "1.5",
		"latest":        "latest",
		">=2":           "no 'app' chart with version matching '>=2' found",
		"1.4.0":         "no 'app' chart with version matching '1.4.0' found",
		"not a version": "'not a version' is neither a version of the chart 'app' nor a range of versions",
	} {
		got, err := pick(entries, "app", want)
		if err != nil {
			got.Version = err.Error()
		}
		if !strings.HasPrefix(got.Version, version) {
			t.Errorf("%q picks %q, want %q", want, got.Version, version)
		}
	}
}

func TestReusable(t *testing.T) {
	t.Parallel()
	want := Result{Name: "app", Version: "1.0.0", Origin: "a"}
	packaged := want
	packaged.Packaged = true
	tests := map[string]struct {
		stored *Stored
		want   Result
		reuse  bool
	}{
		"nothing stored":                    {nil, want, false},
		"the same":                          {&Stored{Name: "app", Version: "1.0.0", Origin: "a"}, want, true},
		"another name":                      {&Stored{Name: "web", Version: "1.0.0", Origin: "a"}, want, false},
		"another version":                   {&Stored{Name: "app", Version: "1.0.1", Origin: "a"}, want, false},
		"another content":                   {&Stored{Name: "app", Version: "1.0.0", Origin: "b"}, want, false},
		"unknown content":                   {&Stored{Name: "app", Version: "1.0.0"}, want, true},
		"request changed":                   {&Stored{Name: "app", Version: "1.0.0", Changed: true}, want, false},
		"request changed, the same content": {&Stored{Name: "app", Version: "1.0.0", Origin: "a", Changed: true}, want, true},
		"request changed, packaged":         {&Stored{Name: "app", Version: "1.0.0", Origin: "a", Changed: true}, packaged, false},
		"packaged":                          {&Stored{Name: "app", Version: "1.0.0", Origin: "a"}, packaged, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (&Request{Stored: tc.stored}).reusable(&tc.want); got != tc.reuse {
				t.Errorf("reused: %v", got)
			}
		})
	}
}

func TestVersioned(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]string]string{
		{"1.0.0", ""}:            "1.0.0",
		{"v1", ""}:               "v1",
		{"1.0.0", "abc.2"}:       "1.0.0+abc.2",
		{"1.0.0+old", "new"}:     "1.0.0+new",
		{"one", "a"}:             "chart metadata patch error: the version 'one' of the chart is no semantic version",
		{"1.0.0", "not allowed"}: "chart metadata patch error: 'not allowed' cannot be added to the version '1.0.0'",
	} {
		got, err := versioned(in[0], in[1])
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]string]string{
		{"https://a.example/charts", "app.tgz"}:             "https://a.example/charts/app.tgz",
		{"https://a.example/charts/", "sub/app.tgz"}:        "https://a.example/charts/sub/app.tgz",
		{"https://a.example/charts", "/app.tgz"}:            "https://a.example/app.tgz",
		{"https://a.example/c?token=1", "app.tgz"}:          "https://a.example/c/app.tgz?token=1",
		{"https://a.example/c?token=1", "https://b/x?y=1"}:  "https://b/x?y=1",
		{"https://a.example/c", "file:///etc/passwd"}:       "the scheme 'file' is not http or https",
		{"https://a.example/c", "oci://b/x"}:                "the scheme 'oci' is not http or https",
		{"https://a.example/c", "https://b/%zz"}:            "it is not valid",
		{"https://a.example/c%2Fd/", "app.tgz"}:             "https://a.example/c%2Fd/app.tgz",
		{"https://a.example/c%20d", "app%20one.tgz"}:        "https://a.example/c%20d/app%20one.tgz",
		{"https://a.example/c", "//b.example/app.tgz"}:      "https://b.example/app.tgz",
		{"https://a.example/c?token=1", "//b.example/x"}:    "https://b.example/x",
		{"https://user:pw@a.example/c", "app.tgz"}:          "https://user:pw@a.example/c/app.tgz",
		{"https://user:pw@a.example/c", "https://b.test/x"}: "https://b.test/x",
	} {
		base, err := url.Parse(in[0])
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if resolved, err := resolve(base, in[1]); err != nil {
			got = err.Error()
		} else {
			got = resolved.String()
		}
		if got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

func TestNormalizeURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://a.example":          "https://a.example/",
		"https://a.example/charts//": "https://a.example/charts/",
		"https://a.example/c?x=1":    "https://a.example/c/?x=1",
		"oci://a.example/charts/":    "oci://a.example/charts",
		"https://a.example/%zz":      "",
	} {
		got, err := NormalizeURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v, want %q", in, got, err, want)
		}
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rules string
		left  []string
	}{
		"defaults":            {"", []string{"templates/.swp"}},
		"name":                {"*.md\n# a comment\n", []string{"README.md", "docs/a.md", "templates/.swp"}},
		"directory":           {"docs/\n", []string{"docs/a.md", "docs/deep/b", "templates/.swp"}},
		"a file, no":          {"README.md/\n", []string{"templates/.swp"}},
		"path":                {"docs/a.md\n", []string{"docs/a.md", "templates/.swp"}},
		"at the root":         {"/README.md", []string{"README.md", "templates/.swp"}},
		"whole path of a dir": {"docs/deep/", []string{"docs/deep/b", "templates/.swp"}},
		"all but":             {"!values.yaml", []string{"README.md", "docs/a.md", "docs/deep/b", "templates/.swp", "templates/a.yaml"}},
	}
	files := []string{"README.md", "docs/a.md", "docs/deep/b", "templates/.swp", "templates/a.yaml", "values.yaml"}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, err := parseRules([]byte(tc.rules))
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, file := range files {
				if rules.ignored(file) {
					left = append(left, file)
				}
			}
			if got, want := strings.Join(left, " "), strings.Join(tc.left, " "); got != want {
				t.Errorf("left out: %s, want %s", got, want)
			}
		})
	}
	for _, bad := range []string{"a/**/b", "[x"} {
		if _, err := parseRules([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestTreePath(t *testing.T) {
	t.Parallel()
	for want, in := range map[string][]string{
		"":               {"."},
		"charts/app":     {"./charts/app/"},
		"app":            {"../../app"},
		"common":         {"charts/app", "../../../common"},
		"charts/common":  {"charts/app", "../common"},
		"charts/app/sub": {"charts/app", "/sub"},
	} {
		if got := treePath(in...); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}
