// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseRepository(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ want, host, err string }{
		"alpine":                       {want: "index.docker.io/library/alpine", host: "index.docker.io"},
		"team/model":                   {want: "index.docker.io/team/model", host: "index.docker.io"},
		"docker.io/alpine":             {want: "index.docker.io/library/alpine", host: "index.docker.io"},
		"ghcr.io/team/model":           {want: "ghcr.io/team/model", host: "ghcr.io"},
		"localhost:5000/a/b":           {want: "localhost:5000/a/b", host: "localhost:5000"},
		"localhost/a":                  {want: "localhost/a", host: "localhost"},
		"[::1]:5000/a":                 {want: "[::1]:5000/a", host: "[::1]:5000"},
		"https://ghcr.io/a":            {err: "value should not start with URL scheme; remove 'https://'"},
		"oci://ghcr.io/a":              {err: "value should not start with URL scheme; remove 'oci://'"},
		"ghcr.io/a:v1":                 {err: "value should not contain a tag; remove ':v1'"},
		"ghcr.io/a@" + someDigest:      {err: "value should not contain a digest; remove '@" + someDigest + "'"},
		"":                             {err: `value is not the name of a repository: ""`},
		"ghcr.io/":                     {err: `value is not the name of a repository: "ghcr.io/"`},
		"ghcr.io/A":                    {err: `value is not the name of a repository: "ghcr.io/A"`},
		"user@ghcr.io/a":               {err: `value holds a digest that is not sha256 and 64 hexadecimal digits: "ghcr.io/a"`},
		"ghcr.io/a?b=c":                {err: `value is not the name of a repository: "ghcr.io/a?b=c"`},
		"ghcr.io/" + long("x"):         {err: "value is longer than 1024 bytes"},
		"ghcr.io\n.evil.example.com/a": {err: `value is not the name of a repository: "ghcr.io\n.evil.example.com/a"`},
	}
	for image, tc := range tests {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			got, err := ParseRepository(image)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err || !errors.Is(err, ErrImage) {
					t.Fatalf("error %v, want %q of ErrImage", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tc.want || got.Host() != tc.host {
				t.Errorf("%s on %s, want %s on %s", got, got.Host(), tc.want, tc.host)
			}
		})
	}
}

func long(s string) string { return strings.Repeat(s, 2000) }

func TestSplitReference(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ repo, tag, digest string }{
		"alpine":                             {"alpine", "", ""},
		"alpine:3":                           {"alpine", "3", ""},
		"alpine@" + someDigest:               {"alpine", "", someDigest},
		"oci://ghcr.io/m:v1@" + someDigest:   {"ghcr.io/m", "v1", someDigest},
		"docker://localhost:5000/m":          {"localhost:5000/m", "", ""},
		"localhost:5000/m:v1":                {"localhost:5000/m", "v1", ""},
		"docker.io/library/alpine:latest":    {"docker.io/library/alpine", "latest", ""},
		"registry.example.com:443/a/b/c:1.0": {"registry.example.com:443/a/b/c", "1.0", ""},
	}
	for s, want := range tests {
		repo, tag, digest, err := SplitReference(s)
		if err != nil || repo != want.repo || tag != want.tag || digest != want.digest {
			t.Errorf("%s: %q %q %q %v, want %v", s, repo, tag, digest, err, want)
		}
	}
	for _, s := range []string{"", ":", "@", "a:", "a@sha256:0", "a:v 1", "a:v\n", "oci://", "oci://oci://a", "ghcr.io/../a", "ghcr.io/a/..", "ghcr.io//a", "ghcr.io/a/", "ghcr.io:/a", "a@" + someDigest + ":x"} {
		if repo, tag, digest, err := SplitReference(s); !errors.Is(err, ErrImage) {
			t.Errorf("%q: %q %q %q %v, want ErrImage", s, repo, tag, digest, err)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	repo, err := ParseRepository("alpine")
	if err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]bool{
		"alpine":                                 true,
		"alpine:3":                               true,
		"docker.io/library/alpine":               true,
		"oci://index.docker.io/alpine:3":         true,
		"docker.io/library/alpine@" + someDigest: true,
		"docker.io/other/alpine":                 false,
		"ghcr.io/library/alpine":                 false,
		"alpine/alpine":                          false,
		"":                                       false,
		"{{ .image }}":                           false,
	} {
		if got := repo.Same(reference); got != want {
			t.Errorf("%q: %v, want %v", reference, got, want)
		}
	}
}

func TestAccessKey(t *testing.T) {
	t.Parallel()
	proxy := &url.URL{Scheme: "http", Host: "proxy"}
	seen := map[string]int{}
	for i, a := range []Access{
		{},
		{Username: "ab", Password: "c"},
		{Username: "a", Password: "bc"},
		{IdentityToken: "abc"},
		{RegistryToken: "abc"},
		{CA: []byte("abc")},
		{Certificate: []byte("abc")},
		{PrivateKey: []byte("abc")},
		{Proxy: proxy},
		{Insecure: true},
	} {
		if first, found := seen[a.Key()]; found {
			t.Errorf("%d and %d have the same key", first, i)
		}
		seen[a.Key()] = i
		if again := a.Key(); seen[again] != i {
			t.Errorf("%d has another key the second time", i)
		}
	}
}

func FuzzSplitReference(f *testing.F) {
	for _, s := range []string{
		"alpine", "alpine:3", "oci://ghcr.io/a/b:v1@" + someDigest, "localhost:5000/a", "[::1]:5000/a:b", "a@b@c", "docker://",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		repo, tag, digest, err := SplitReference(s)
		if err != nil {
			if !errors.Is(err, ErrImage) {
				t.Fatalf("%q: error %v is not ErrImage", s, err)
			}
			return
		}
		again := repo
		if tag != "" {
			again += ":" + tag
		}
		if digest != "" {
			again += "@" + digest
		}
		if !strings.HasSuffix(s, again) {
			t.Fatalf("%q: parts make %q", s, again)
		}
		parsed, err := ParseRepository(repo)
		if err != nil {
			t.Fatalf("%q: the repository %q cannot be read: %v", s, repo, err)
		}
		if !parsed.Same(s) {
			t.Fatalf("%q is not the same as its repository %s", s, parsed)
		}
		canonical, err := ParseRepository(parsed.String())
		if err != nil || canonical != parsed {
			t.Fatalf("%q: canonical %s reads as %s, %v", s, parsed, canonical, err)
		}
	})
}
