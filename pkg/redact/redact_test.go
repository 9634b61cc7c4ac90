// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"errors"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"no url":                {"object not found", "object not found"},
		"plain url":             {`Get "https://git.example.com/a/b": timeout`, `Get "https://git.example.com/a/b": timeout`},
		"user and password":     {`clone https://bob:s3cret@git.example.com/a: EOF`, `clone https://git.example.com/a: EOF`},
		"token as user":         {`https://ghp_abc@github.com/x`, `https://github.com/x`},
		"query in quotes":       {`Get "https://h/x?token=abc&a=b": refused`, `Get "https://h/x": refused`},
		"fragment":              {`see https://h/x#tok=abc.`, `see https://h/x.`},
		"at in a path stays":    {`https://h/x/y@v1 is gone`, `https://h/x/y@v1 is gone`},
		"port and at in a path": {`https://h:8443/x@v1`, `https://h:8443/x@v1`},
		"ipv6 host":             {`ssh://git@[::1]:22/x`, `ssh://[::1]:22/x`},
		"slash in the password": {`parse "https://bob:pa/ss@h/x": invalid port`, `parse "https://h/x": invalid port`},
		"at in the password":    {`https://bob:p@ss@h/x`, `https://h/x`},
		"quote in the password": {`https://bob:p"ss@h/x`, `https://h/x`},
		"query before an at":    {`https://h/x?user=a@b`, `https://h/x`},
		"ssh":                   {`ssh://git:pw@h/x`, `ssh://h/x`},
		"two urls":              {`https://a:b@h/x -> http://c:d@i/y?z=1`, `https://h/x -> http://i/y`},
		"url inside a url":      {`https://proxy/https://a:b@h/x`, `https://proxy/https://h/x`},
		"authorization header":  {`header "Authorization: Bearer abcdefghijk"`, `header "Authorization: Bearer [redacted]"`},
		"raw authorization":     {`Authorization: abc`, `Authorization: [redacted]`},
		"header map":            {`map[Authorization:[Basic Ym9iOng=]]`, `map[Authorization:[Basic [redacted]]]`},
		"the words":             {`basic authentication was refused`, `basic authentication was refused`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := String(tc.in); got != tc.want {
				t.Errorf("String(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	if got := Error(nil); got != "" {
		t.Errorf("Error(nil) = %q, want empty", got)
	}
	if got := Error(errors.New("dial https://u:p@h: no")); got != "dial https://h: no" {
		t.Errorf("Error kept the credentials: %q", got)
	}
}

// FuzzString checks with a marker as the password that no shape of URL around
// it lets it through.
func FuzzString(f *testing.F) {
	f.Add("https://", "bob", "host/path")
	f.Add("x https://", "a@b", "host:80/?q=1")
	f.Add("ssh://", "", "[::1]/x")
	f.Fuzz(func(t *testing.T, before, user, after string) {
		const secret = "S3CRETMARKER"
		if strings.ContainsAny(user, " \t\r\n\v\f/?#@\u0085") || strings.Contains(user, secret) ||
			strings.Contains(before, secret) || strings.Contains(after, secret) {
			return // the marker must be the password of one URL and nothing else
		}
		got := String(before + "https://" + user + ":" + secret + "@" + after)
		if strings.Contains(got, secret) {
			t.Errorf("password shows in %q", got)
		}
	})
}
