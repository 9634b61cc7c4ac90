// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/dial"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const hub, lab, tea = imagev1.ForgeGitHub, imagev1.ForgeGitLab, imagev1.ForgeGitea
	tests := map[string]struct {
		provider   imagev1.Forge
		repository string
		api        string
		allowed    string
		want       string // "<api> <project>"
		class      error
	}{
		"github":                   {hub, "https://github.com/team/models.git", "", "", "https://api.github.com team/models", nil},
		"github by ssh":            {hub, "ssh://git@github.com/team/models", "", "", "https://api.github.com team/models", nil},
		"github by scp":            {hub, "git@github.com:team/models.git", "", "", "https://api.github.com team/models", nil},
		"github with a port":       {hub, "https://GitHub.com:443/team/models/", "", "", "https://api.github.com team/models", nil},
		"github, API given":        {hub, "https://github.com/team/models", "https://api.github.com/", "", "https://api.github.com team/models", nil},
		"github enterprise":        {hub, "https://ghe.example.com/team/models", "", "", "https://ghe.example.com/api/v3 team/models", nil},
		"github enterprise by ssh": {hub, "ssh://git@ghe.example.com:2222/team/models", "", "", "https://ghe.example.com/api/v3 team/models", nil},
		"data residency, unlisted": {hub, "https://x.ghe.com/team/models", "https://api.x.ghe.com", "", "", ErrHost},
		"data residency":           {hub, "https://x.ghe.com/team/models", "https://api.x.ghe.com", "api.x.ghe.com", "https://api.x.ghe.com team/models", nil},
		"gitlab with subgroups":    {lab, "https://gitlab.com/a/b/c/models.git", "", "", "https://gitlab.com/api/v4 a/b/c/models", nil},
		"gitlab by scp, absolute":  {lab, "git@gitlab.example.com:/a/models.git", "", "", "https://gitlab.example.com/api/v4 a/models", nil},
		"gitlab with a port":       {lab, "https://gitlab.example.com:8443/a/models", "", "", "https://gitlab.example.com:8443/api/v4 a/models", nil},
		"gitlab below a path":      {lab, "https://example.com/git/lab/a/models", "https://example.com/git/lab/api/v4", "", "https://example.com/git/lab/api/v4 a/models", nil},
		"the same by ssh":          {lab, "ssh://git@example.com/a/models", "https://example.com/git/lab/api/v4", "", "https://example.com/git/lab/api/v4 a/models", nil},
		"gitea":                    {tea, "https://code.example.com/team/models", "", "", "https://code.example.com/api/v1 team/models", nil},
		"gitea at an IPv6 address": {tea, "ssh://git@[2001:db8::1]:2222/team/models", "", "", "https://[2001:db8::1]/api/v1 team/models", nil},
		"user information":         {tea, "https://bob:s3cret@code.example.com/team/models", "", "", "https://code.example.com/api/v1 team/models", nil},

		"another host":              {lab, "https://gitlab.com/a/b", "https://evil.example.com/api/v4", "gitlab.com", "", ErrHost},
		"another port":              {lab, "https://gitlab.com/a/b", "https://gitlab.com:8443/api/v4", "", "", ErrHost},
		"another port, by name":     {lab, "https://gitlab.com/a/b", "https://gitlab.com:8443/api/v4", "gitlab.com", "", ErrHost},
		"another port, listed":      {lab, "https://gitlab.com/a/b", "https://gitlab.com:8443/api/v4", "GITLAB.com:8443", "https://gitlab.com:8443/api/v4 a/b", nil},
		"a host that looks alike":   {hub, "https://github.com.example.com/a/b", "https://api.github.com", "", "", ErrHost},
		"gitlab has no second host": {lab, "https://github.com/a/b", "https://api.github.com", "", "", ErrHost},
		"user information in API":   {hub, "https://github.com/a/b", "https://x@api.github.com", "", "", ErrRejected},
		"http":                      {tea, "http://code.example.com/a/b", "", "", "", ErrRejected},
		"http API":                  {tea, "https://code.example.com/a/b", "http://code.example.com/api/v1", "", "", ErrRejected},
		"no project":                {tea, "https://code.example.com/", "", "", "", ErrRejected},
		"one element":               {lab, "https://code.example.com/a", "", "", "", ErrRejected},
		"three elements":            {hub, "https://github.com/a/b/c", "", "", "", ErrRejected},
		"dots":                      {lab, "https://gitlab.com/a/../b", "", "", "", ErrRejected},
		"a file":                    {lab, "file:///srv/a/b", "", "", "", ErrRejected},
		"no URL":                    {lab, "s3cret", "", "", "", ErrRejected},
		"another provider":          {"bitbucket", "https://bitbucket.org/a/b", "", "", "", ErrRejected},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := locate(tc.provider, tc.repository, tc.api, []string{tc.allowed}, false)
			if !errors.Is(err, tc.class) {
				t.Fatalf("error %v, want %v", err, tc.class)
			}
			if err != nil {
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error %q tells too much", err)
				}
				return
			}
			if got := at.api.String() + " " + at.project; got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestAnEmptyTokenIsRefused(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Provider: imagev1.ForgeGitea, RepositoryURL: "https://code.example.com/a/b", Token: " \n", Dialer: dial.New(dial.Policy{}),
	})
	if !errors.Is(err, ErrAuthentication) {
		t.Errorf("error %v", err)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		id, body, other string
	}{
		"plain":               {"team/models/0b5c", "text", ""},
		"ends a comment":      {"a--><script>--b", "text", ""},
		"hyphens":             {"a--b---c", "text", ""},
		"letters of all kind": {"ä b\nc%20", "text", ""},
		"another's identity":  {"mine", "<!-- weir-pull-request: yours -->", "yours"},
		"and in another case": {"mine", "<!-- WEIR-pull-request: yours -->\n<!--\nweir-pull-request:yours-->", "yours"},
		"an open comment":     {"mine", "text <!-- not closed", ""},
		"long":                {"mine", strings.Repeat("ä", 50_000), ""},
		"empty":               {"mine", "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := Request{ID: tc.id, Body: tc.body}.rendered().Body
			if !hasID(body, tc.id) {
				t.Errorf("the identity is not found in %.200q", body)
			}
			if tc.other != "" && hasID(body, tc.other) {
				t.Errorf("the body claims %q: %s", tc.other, body)
			}
			if hasID(body, tc.id+"x") || hasID("nothing", tc.id) {
				t.Error("another identity is found")
			}
			tail := body[strings.LastIndex(body, "<!--"):]
			if strings.Count(tail, "-->") != 1 || strings.Count(tail, "--") != 2 || strings.Contains(tail, "\n") {
				t.Errorf("the comment is %q", tail)
			}
			if len(body) > 65_000 || !utf8.ValidString(body) {
				t.Errorf("%d bytes, or not UTF-8", len(body))
			}
		})
	}
}

func TestRenderedText(t *testing.T) {
	t.Parallel()
	r := Request{Title: "a\n b\t" + strings.Repeat("ü", 200), Body: "/merge\r\n  /assign @x\rsee /etc\nand/or", ID: "x"}.rendered()
	if len(r.Title) > maxTitle || !strings.HasPrefix(r.Title, "a b ü") || !strings.HasSuffix(r.Title, "ü…") {
		t.Errorf("title %q", r.Title)
	}
	if want := "\\/merge\n  \\/assign @x\nsee /etc\nand/or\n\n<!-- weir-pull-request: x -->"; r.Body != want {
		t.Errorf("body %q, want %q", r.Body, want)
	}
}
