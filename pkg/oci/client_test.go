// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// serve starts a registry that ends with the test.
func serve(t *testing.T, opts ...testkit.RegistryOption) *testkit.Registry {
	t.Helper()
	server, err := testkit.NewRegistry(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// newClient returns a client that may connect to loopback and is not slowed.
func newClient(t *testing.T) *Client {
	t.Helper()
	c := NewClient(Options{Dialer: dial.New(dial.Policy{AllowLocal: true}), Rate: 1000, Burst: 1000})
	t.Cleanup(c.Close)
	return c
}

func repository(t *testing.T, image string) Repository {
	t.Helper()
	repo, err := ParseRepository(image)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func manyTags(n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf("v1.0.%d", i)
	}
	return tags
}

// count passes what tests of lists compare.
func count(tags []string) int { return len(slices.Compact(slices.Sorted(slices.Values(tags)))) }

func TestTags(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options  []testkit.RegistryOption
		access   Access
		tags     int
		requests int // for pages of tags
	}{
		"one page":              {tags: 10, requests: 1},
		"none":                  {tags: 0, requests: 1},
		"pages":                 {tags: 2500, requests: 3},
		"a page that is full":   {tags: 1000, requests: 2},
		"small pages":           {options: []testkit.RegistryOption{testkit.RegistryPages(100)}, tags: 1050, requests: 11},
		"no links":              {options: []testkit.RegistryOption{testkit.RegistryNoLinks()}, tags: 2500, requests: 3},
		"basic":                 {options: []testkit.RegistryOption{testkit.RegistryBasicAuth("u", "p")}, access: Access{Username: "u", Password: "p"}, tags: 3, requests: 1},
		"token":                 {options: []testkit.RegistryOption{testkit.RegistryTokenAuth("u", "p")}, access: Access{Username: "u", Password: "p"}, tags: 3, requests: 1},
		"token for everybody":   {options: []testkit.RegistryOption{testkit.RegistryTokenAuth("", "")}, tags: 3, requests: 1},
		"token for an identity": {options: []testkit.RegistryOption{testkit.RegistryTokenAuth("u", "refresh")}, access: Access{IdentityToken: "refresh"}, tags: 3, requests: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, tc.options...)
			server.SetTags("team/model", manyTags(tc.tags))
			tc.access.Insecure = true
			tags, v, notModified, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/team/model"), tc.access, nil)
			if err != nil {
				t.Fatal(err)
			}
			if count(tags) != tc.tags || v != nil || notModified {
				t.Errorf("%d tags, %v, %v, want %d", len(tags), v, notModified, tc.tags)
			}
			if got := server.Requests("/tags/list"); got != tc.requests {
				t.Errorf("%d requests, want %d", got, tc.requests)
			}
		})
	}
}

func TestTagsThatCannotBe(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", []string{"v1", "", "a b", "x\n", strings.Repeat("y", 129), "-z", "v2"})
	tags, _, _, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/m"), Access{Insecure: true}, nil)
	if err != nil || !slices.Equal(tags, []string{"v1", "v2"}) {
		t.Errorf("%q, %v, want v1 and v2", tags, err)
	}
}

func TestUnchangedTags(t *testing.T) {
	t.Parallel()
	server := serve(t, testkit.RegistryETags())
	server.SetTags("m", manyTags(3))
	c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
	_, v, _, err := c.Tags(t.Context(), repo, access, nil)
	if err != nil || v == nil {
		t.Fatalf("%v, %v, want a validator", v, err)
	}
	if tags, again, notModified, err := c.Tags(t.Context(), repo, access, v); err != nil || !notModified || tags != nil || *again != *v {
		t.Errorf("%v, %v, %v, %v, want not modified", tags, again, notModified, err)
	}
	server.SetTags("m", manyTags(4))
	if tags, _, notModified, err := c.Tags(t.Context(), repo, access, v); err != nil || notModified || len(tags) != 4 {
		t.Errorf("%v, %v, %v, want 4 tags", tags, notModified, err)
	}
	server.SetTags("m", manyTags(1500))
	if _, v, _, err := c.Tags(t.Context(), repo, access, nil); err != nil || v != nil {
		t.Errorf("%v, %v: the ETag of one page says nothing of the others", v, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault testkit.RegistryFault
		class error
		text  string
	}{
		"500":       {testkit.RegistryFault{Code: 500}, ErrUnavailable, "the registry HOST answered with status 500 Internal Server Error"},
		"404":       {testkit.RegistryFault{Code: 404}, ErrNotFound, "the registry HOST has no such repository, tag or digest, or hides it from this credential"},
		"403":       {testkit.RegistryFault{Code: 403}, ErrAuthentication, "the registry HOST denies access without credentials"},
		"401":       {testkit.RegistryFault{Code: 401}, ErrAuthentication, "the registry HOST asks for credentials, and there are none"},
		"429":       {testkit.RegistryFault{Code: 429, RetryAfter: 7}, ErrThrottled, "the registry HOST asks not to be called for a while (too many requests)"},
		"503":       {testkit.RegistryFault{Code: 503, RetryAfter: 7}, ErrThrottled, "the registry HOST asks not to be called for a while (too many requests)"},
		"truncated": {testkit.RegistryFault{Truncate: true}, ErrMalformed, "the answer of the registry HOST is not a list of tags, or ends in its middle"},
		"page":      {testkit.RegistryFault{Garbage: true}, ErrMalformed, "the answer of the registry HOST is not a list of tags, or ends in its middle"},
		"dropped":   {testkit.RegistryFault{Drop: true}, ErrUnavailable, "ask the registry HOST: the connection ended in the middle of an answer"},
		"hangs":     {testkit.RegistryFault{Hang: true}, ErrUnavailable, "ask the registry HOST: it did not answer in time"},
		"loops":     {testkit.RegistryFault{Redirect: "/v2/m/tags/list"}, ErrUnavailable, "ask the registry HOST: the connection failed, or the answer is not one that can be followed"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t)
			server.SetTags("m", manyTags(1500))
			server.Inject(func(r *http.Request) testkit.RegistryFault {
				if strings.Contains(r.URL.RawQuery, "last=") || tc.fault.Redirect != "" && r.URL.Path != "/v2/" {
					return tc.fault
				}
				return testkit.RegistryFault{}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			tags, _, _, err := newClient(t).Tags(ctx, repository(t, server.Host+"/m"), Access{Insecure: true}, nil)
			want := strings.ReplaceAll("list the tags of HOST/m: "+tc.text, "HOST", server.Host)
			if !errors.Is(err, tc.class) || err.Error() != want || tags != nil {
				t.Errorf("%d tags, error %q\nwant %q", len(tags), err, want)
			}
		})
	}
}

func TestRetryAfterIsShared(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("a", manyTags(1))
	server.SetTags("b", manyTags(1))
	c, access := newClient(t), Access{Insecure: true}
	if _, _, _, err := c.Tags(t.Context(), repository(t, server.Host+"/b"), access, nil); err != nil {
		t.Fatal(err)
	}
	server.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Code: 429, RetryAfter: 3600} })
	_, _, _, err := c.Tags(t.Context(), repository(t, server.Host+"/a"), access, nil)
	if after := RetryAfter(err); !errors.Is(err, ErrThrottled) || after < 59*time.Minute || after > time.Hour {
		t.Fatalf("%v after %v, want throttled for an hour", err, after)
	}
	server.Inject(nil)
	before := server.Requests("")
	if _, _, _, err := c.Tags(t.Context(), repository(t, server.Host+"/b"), access, nil); !errors.Is(err, ErrThrottled) {
		t.Errorf("another repository of the host: %v, want throttled", err)
	}
	if got := server.Requests(""); got != before {
		t.Errorf("%d requests were sent before the time", got-before)
	}
	// Another credential is another customer.
	other := Access{Insecure: true, Username: "u", Password: "p"}
	if _, _, _, err := c.Tags(t.Context(), repository(t, server.Host+"/b"), other, nil); err != nil {
		t.Errorf("another credential: %v", err)
	}
}

func TestPauseOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              30 * time.Second,
		"soon":                          30 * time.Second,
		"0":                             time.Second,
		"-5":                            time.Second,
		"90":                            90 * time.Second,
		"999999999":                     6 * time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2025 03:05:05 GMT": time.Second,
	} {
		if got := pauseOf(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestTokenExpiresInMidScan(t *testing.T) {
	t.Parallel()
	server := serve(t, testkit.RegistryTokenAuth("u", "p"), testkit.RegistryPages(10))
	server.SetTags("m", manyTags(50))
	expired := false
	server.Inject(func(r *http.Request) testkit.RegistryFault {
		if !expired && strings.Contains(r.URL.RawQuery, "v1.0.19") {
			expired = true
			server.ExpireTokens()
		}
		return testkit.RegistryFault{}
	})
	tags, _, _, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/m"), Access{Insecure: true, Username: "u", Password: "p"}, nil)
	if err != nil || count(tags) != 50 {
		t.Errorf("%d tags, %v, want 50", len(tags), err)
	}
	if got := server.Requests("/token"); got != 2 {
		t.Errorf("%d tokens were asked for, want 2", got)
	}
}

func TestRefusedTokensAreAskedForOnceMore(t *testing.T) {
	t.Parallel()
	server := serve(t, testkit.RegistryTokenAuth("u", "p"))
	server.SetTags("m", manyTags(50))
	server.Inject(func(r *http.Request) testkit.RegistryFault {
		if strings.Contains(r.URL.Path, "/tags/") {
			return testkit.RegistryFault{Code: 401}
		}
		return testkit.RegistryFault{}
	})
	_, _, _, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/m"), Access{Insecure: true, Username: "u", Password: "p"}, nil)
	if !errors.Is(err, ErrAuthentication) {
		t.Errorf("error %v, want ErrAuthentication", err)
	}
	if got := server.Requests("/tags/"); got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]testkit.RegistryOption{
		"basic": testkit.RegistryBasicAuth("u", "p"), "token": testkit.RegistryTokenAuth("u", "p"),
	} {
		for _, access := range []Access{
			{}, {Username: "u", Password: "secret-password"}, {IdentityToken: "secret-password"}, {RegistryToken: "secret-password"},
		} {
			server := serve(t, option)
			server.SetTags("m", manyTags(1))
			access.Insecure = true
			_, _, _, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/m"), access, nil)
			if !errors.Is(err, ErrAuthentication) {
				t.Errorf("%s: error %v, want ErrAuthentication", name, err)
			} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "?") {
				t.Errorf("%s: error %q discloses too much", name, err)
			}
		}
	}
}

func TestCredentialsStayWithTheRegistry(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 100)
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		seen <- r.Header.Get("Authorization") + r.PostForm.Get("refresh_token")
		http.Error(w, "", http.StatusTeapot)
	}))
	defer thief.Close()
	tests := map[string]struct {
		option testkit.RegistryOption
		access Access
		part   string
	}{
		"basic":    {testkit.RegistryBasicAuth("u", "p"), Access{Username: "u", Password: "p"}, "/tags/"},
		"token":    {testkit.RegistryTokenAuth("u", "p"), Access{Username: "u", Password: "p"}, "/tags/"},
		"realm":    {testkit.RegistryTokenAuth("u", "p"), Access{Username: "u", Password: "p"}, "/token"},
		"identity": {testkit.RegistryTokenAuth("u", "p"), Access{IdentityToken: "p"}, "/token"},
	}
	for name, tc := range tests {
		server := serve(t, tc.option)
		server.SetTags("m", manyTags(1))
		server.Inject(func(r *http.Request) testkit.RegistryFault {
			if strings.Contains(r.URL.Path, tc.part) {
				// Another port is another host.
				return testkit.RegistryFault{Redirect: strings.Replace(thief.URL, "127.0.0.1", "localhost", 1) + "/v2/"}
			}
			return testkit.RegistryFault{}
		})
		tc.access.Insecure = true
		if _, _, _, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/m"), tc.access, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	thief.Close()
	close(seen)
	for got := range seen {
		if got != "" {
			t.Errorf("another host got %q", got)
		}
	}
}

func TestNextPageAtAnotherHost(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"":                                       "",
		"</v2/m/tags/list?last=a>; rel=\"next\"": "http://r.example.com/v2/m/tags/list?last=a",
		"<?last=a>":                              "http://r.example.com/v2/m/tags/list?last=a",
		"</v2/m/tags/list>; rel=\"prev\"":        "",
		"<http://r.example.com/x>; rel=next":     "http://r.example.com/x",
		"<https://r.example.com/x>; rel=\"next\"": "error",
		"<http://evil.example.com/x>":             "error",
		"<//evil.example.com/x>":                  "error",
		"<http://u:p@r.example.com/x>":            "error",
		"<%zz>":                                   "error",
		"garbage":                                 "",
	} {
		here, err := url.Parse("http://r.example.com/v2/m/tags/list?n=1000")
		if err != nil {
			t.Fatal(err)
		}
		next, err := nextPage(&http.Response{Header: http.Header{"Link": {link}}, Request: &http.Request{URL: here}})
		got := ""
		switch {
		case err != nil:
			got = "error"
		case next != nil:
			got = next.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", link, got, want, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := serve(t, testkit.RegistryMutualTLS())
	server.SetTags("m", manyTags(1))
	repo := repository(t, server.Host+"/m")
	full := Access{CA: server.CA, Certificate: server.ClientCert, PrivateKey: server.ClientKey}
	if _, _, _, err := newClient(t).Tags(t.Context(), repo, full, nil); err != nil {
		t.Error(err)
	}
	for name, tc := range map[string]struct {
		access Access
		text   string
	}{
		"unknown authority": {Access{}, "certificate"},
		"no certificate":    {Access{CA: server.CA}, "certificate"},
		"bad CA":            {Access{CA: []byte("x")}, "the CA holds no PEM certificate"},
	} {
		if _, _, _, err := newClient(t).Tags(t.Context(), repo, tc.access, nil); err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: error %v, want %q", name, err, tc.text)
		}
	}
}

func TestPlainHTTPOnlyIfInsecure(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", manyTags(1))
	_, _, _, err := newClient(t).Tags(t.Context(), repository(t, server.Host+"/m"), Access{}, nil)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "it does not speak TLS; 'insecure: true' permits plain HTTP") {
		t.Errorf("error %v, want one about HTTPS", err)
	}
	if got := server.Requests(""); got != 0 {
		t.Errorf("%d requests came over plain HTTP", got)
	}
}

func TestRefusedAddress(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c := NewClient(Options{Dialer: dial.New(dial.Policy{})})
	for _, access := range []Access{{Insecure: true}, {Insecure: true, Proxy: &url.URL{Scheme: "http", Host: server.Host}}} {
		_, _, _, err := c.Tags(t.Context(), repository(t, server.Host+"/m"), access, nil)
		if !errors.Is(err, dial.ErrRefused) || !strings.Contains(err.Error(), "--allow-local-sources") {
			t.Errorf("error %v, want refused", err)
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", manyTags(1))
	proxy := &url.URL{Scheme: "http", Host: server.Host}
	// The registry's name does not exist: only the proxy knows the way.
	tags, _, _, err := newClient(t).Tags(t.Context(), repository(t, "registry.invalid/m"), Access{Insecure: true, Proxy: proxy}, nil)
	if err != nil || len(tags) != 1 {
		t.Errorf("%v, %v, want a tag", tags, err)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", manyTags(1))
	c := NewClient(Options{Dialer: dial.New(dial.Policy{AllowLocal: true}), Rate: 10, Burst: 3})
	repo, access := repository(t, server.Host+"/m"), Access{Insecure: true}
	begin := time.Now()
	for range 7 { // and at least one request to find out how to authenticate
		if _, _, _, err := c.Tags(t.Context(), repo, access, nil); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("8 requests took %v, want at least half a second", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, _, err := c.Tags(ctx, repo, access, nil); !errors.Is(err, ErrThrottled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want one about the rate", err)
	}
}

func TestTooManyTags(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		fmt.Fprint(w, `{"tags":["x"`)
		chunk := []byte(strings.Repeat(`,"`+strings.Repeat("y", 100)+`"`, 1000))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	_, _, _, err := newClient(t).Tags(t.Context(), repository(t, strings.TrimPrefix(server.URL, "http://")+"/m"), Access{Insecure: true}, nil)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

func FuzzDecodeTags(f *testing.F) {
	for _, s := range []string{
		`{"name":"m","tags":["a","b"]}`, `{"tags":null}`, `{}`, `[]`, `{"tags":{"a":1}}`, `{"tags":["a"`, `{"tags":[1]}`, `{"tags":["a"],"tags":["b"]}`, "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tags, listed, err := decodeTags(strings.NewReader(s), nil)
		if len(tags) > listed {
			t.Fatalf("%d of %d tags", len(tags), listed)
		}
		for _, tag := range tags {
			if !ValidTag(tag) {
				t.Fatalf("tag %q", tag)
			}
		}
		if err == nil && !strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") {
			t.Fatalf("%q is a list of tags", s)
		}
	})
}
