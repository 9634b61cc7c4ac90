// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// newServer serves one repository "repo.git" with one commit over HTTP.
func newServer(t *testing.T, opts ...testkit.GitOption) (*testkit.GitServer, *testkit.GitRepo) {
	t.Helper()
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	commit(t, repo, testkit.GitCommit{Message: "first", Files: testkit.Files(map[string]string{"a.yaml": "a: 1"})})
	server, err := testkit.NewGitServer(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server, repo
}

func commit(t *testing.T, repo *testkit.GitRepo, c testkit.GitCommit) string {
	t.Helper()
	hash, err := repo.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func newStore(t *testing.T, maxBytes int64, limits Limits) *Store {
	t.Helper()
	s, err := NewStore(t.TempDir(), maxBytes, limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newRemote(t *testing.T, rawURL string, secret map[string][]byte) (*Remote, error) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := AuthFor(u, secret)
	if err != nil {
		return nil, err
	}
	remote, err := NewRemote(rawURL, auth, dial.New(dial.Policy{AllowLocal: true}), Algorithms{})
	if err == nil {
		t.Cleanup(remote.Close)
	}
	return remote, err
}

func mustRemote(t *testing.T, rawURL string, secret map[string][]byte) *Remote {
	t.Helper()
	remote, err := newRemote(t, rawURL, secret)
	if err != nil {
		t.Fatal(err)
	}
	return remote
}

// checkout resolves a reference and returns its revision and its files.
func checkout(ctx context.Context, s *Store, remote *Remote, reference Reference) (Target, map[string]string, error) {
	target, err := s.Resolve(ctx, remote, reference)
	if err != nil {
		return target, nil, err
	}
	files := map[string]string{}
	err = s.Read(ctx, remote, target, func(c *Commit) error {
		return c.Walk(ctx, func(e Entry) error {
			if e.Kind == Dir || e.Kind == Submodule {
				return nil
			}
			_, r, err := e.Open()
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			data, err := io.ReadAll(r)
			files[e.Path] = string(data)
			return err
		})
	})
	return target, files, err
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v0", "v2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			var opts []testkit.GitOption
			if version == "v0" {
				opts = append(opts, testkit.GitProtocolV0())
			}
			testReferences(t, opts)
		})
	}
}

func testReferences(t *testing.T, opts []testkit.GitOption) {
	server, repo := newServer(t, opts...)
	at := func(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	one := commit(t, repo, testkit.GitCommit{Message: "one", When: at(1), Files: testkit.Files(map[string]string{"n": "1"})})
	two := commit(t, repo, testkit.GitCommit{Message: "two", When: at(2), Files: testkit.Files(map[string]string{"n": "2"})})
	dev := commit(t, repo, testkit.GitCommit{Branch: "team/dev", Files: testkit.Files(map[string]string{"n": "dev"})})
	early := commit(t, repo, testkit.GitCommit{Branch: "e", When: at(3), Files: testkit.Files(map[string]string{"n": "early"})})
	late := commit(t, repo, testkit.GitCommit{Branch: "l", When: at(4), Files: testkit.Files(map[string]string{"n": "late"})})
	for name, args := range map[string][2]string{
		"v1.0.0": {one, ""}, "v1.1.0": {two, "annotated"}, "v2.0.0-rc.1": {dev, ""}, "nightly": {dev, "x"},
		"v3.0.0+zz": {early, ""}, "v3.0.0+aa": {late, "annotated"},
	} {
		if err := repo.Tag(t.Context(), name, args[0], args[1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.Git(t.Context(), "update-ref", "refs/pull/7/head", dev); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		reference Reference
		revision  string
		n         string
		wantErr   string
	}{
		"branch":                       {Reference{Branch: "main"}, "main@sha1:" + two, "2", ""},
		"branch with a slash":          {Reference{Branch: "team/dev"}, "team/dev@sha1:" + dev, "dev", ""},
		"tag":                          {Reference{Tag: "v1.0.0"}, "v1.0.0@sha1:" + one, "1", ""},
		"annotated tag":                {Reference{Tag: "v1.1.0"}, "v1.1.0@sha1:" + two, "2", ""},
		"semver":                       {Reference{SemVer: "1.x"}, "v1.1.0@sha1:" + two, "2", ""},
		"semver with pre-releases":     {Reference{SemVer: ">=2.0.0-0 <3.0.0"}, "v2.0.0-rc.1@sha1:" + dev, "dev", ""},
		"semver without pre-releases":  {Reference{SemVer: "2.x"}, "", "", "no tag matches the semver range '2.x'"},
		"semver tie: the later commit": {Reference{SemVer: ">=3.0.0"}, "v3.0.0+aa@sha1:" + late, "late", ""},
		"semver that is none":          {Reference{SemVer: "latest"}, "", "", "'latest' is not a valid semver range"},
		"name of a branch":             {Reference{Name: "refs/heads/main"}, "refs/heads/main@sha1:" + two, "2", ""},
		"name of a pull request":       {Reference{Name: "refs/pull/7/head"}, "refs/pull/7/head@sha1:" + dev, "dev", ""},
		"name of an annotated tag":     {Reference{Name: "refs/tags/v1.1.0"}, "refs/tags/v1.1.0@sha1:" + two, "2", ""},
		"name of a peeled tag":         {Reference{Name: "refs/tags/v1.1.0^{}"}, "refs/tags/v1.1.0^{}@sha1:" + two, "2", ""},
		"name with a slash":            {Reference{Name: "/refs/heads/main"}, "", "", "begins or ends with a slash"},
		"commit":                       {Reference{Commit: one}, "sha1:" + one, "1", ""},
		"commit and branch":            {Reference{Commit: one, Branch: "main"}, "main@sha1:" + one, "1", ""},
		"commit and a lost branch":     {Reference{Commit: one, Branch: "gone"}, "", "", "couldn't find remote ref 'refs/heads/gone'"},
		"commit that is none":          {Reference{Commit: "abc"}, "", "", "'abc' is not a full commit hash"},
		"commit that is not there":     {Reference{Commit: strings.Repeat("1", 40)}, "", "", "does not have the wanted commit"},
		"default":                      {Reference{}, "", "", "couldn't find remote ref 'refs/heads/master'; the default branch of the repository is 'main'"},
		"tag that is not there":        {Reference{Tag: "v1"}, "", "", "couldn't find remote ref 'refs/tags/v1'"},
		"commit wins over all":         {Reference{Commit: one, Name: "refs/heads/main", SemVer: "1.x", Tag: "nightly"}, "refs/heads/main@sha1:" + one, "1", ""},
		"name wins over semver":        {Reference{Name: "refs/tags/nightly", SemVer: "1.x", Tag: "v1.0.0", Branch: "main"}, "refs/tags/nightly@sha1:" + dev, "dev", ""},
		"semver wins over tag":         {Reference{SemVer: "1.0.x", Tag: "nightly", Branch: "main"}, "v1.0.0@sha1:" + one, "1", ""},
		"tag wins over branch":         {Reference{Tag: "nightly", Branch: "main"}, "nightly@sha1:" + dev, "dev", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, files, err := checkout(t.Context(), newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil), tc.reference)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || !errors.Is(err, ErrReference) {
					t.Fatalf("error %v, want an ErrReference with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if target.Revision != tc.revision {
				t.Errorf("revision %q, want %q", target.Revision, tc.revision)
			}
			if files["n"] != tc.n {
				t.Errorf("content of n is %q, want %q", files["n"], tc.n)
			}
		})
	}
}

func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]testkit.GitOption{"v2": nil, "v0": {testkit.GitProtocolV0()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t, opts...)
			if _, err := testkit.NewGitRepo(t.Context(), repo.Dir+"/../empty.git"); err != nil {
				t.Fatal(err)
			}
			_, err := newStore(t, 1, Limits{}).Resolve(t.Context(), mustRemote(t, server.URL+"/empty.git", nil), Reference{})
			if !errors.Is(err, ErrEmpty) || err.Error() != "git repository is empty" {
				t.Errorf("error %v, want ErrEmpty", err)
			}
		})
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	basic := map[string][]byte{"username": []byte("bob"), "password": []byte("s3cret")}
	bearer := map[string][]byte{"bearerToken": []byte("t0ken")}
	tests := map[string]struct {
		server []testkit.GitOption
		secret func(*testkit.GitServer) map[string][]byte
		user   string // in the URL
		want   error
		text   string
	}{
		"basic":            {[]testkit.GitOption{testkit.GitBasicAuth("bob", "s3cret")}, fixed(basic), "", nil, ""},
		"basic in the URL": {[]testkit.GitOption{testkit.GitBasicAuth("bob", "s3cret")}, fixed(nil), "bob:s3cret@", nil, ""},
		"basic, wrong":     {[]testkit.GitOption{testkit.GitBasicAuth("bob", "other")}, fixed(basic), "", ErrAuthentication, "401 Unauthorized"},
		"basic, missing":   {[]testkit.GitOption{testkit.GitBasicAuth("bob", "other")}, fixed(nil), "", ErrAuthentication, "401 Unauthorized"},
		"no user":          {nil, fixed(map[string][]byte{"password": []byte("x")}), "", ErrAuthentication, "'password' but no 'username'"},
		"bearer":           {[]testkit.GitOption{testkit.GitBearerAuth("t0ken")}, fixed(bearer), "", nil, ""},
		"bearer, wrong":    {[]testkit.GitOption{testkit.GitBearerAuth("t1ken")}, fixed(bearer), "", ErrAuthentication, "401 Unauthorized"},
		"CA":               {[]testkit.GitOption{testkit.GitTLS()}, func(s *testkit.GitServer) map[string][]byte { return map[string][]byte{"ca.crt": s.CA} }, "", nil, ""},
		"CA, old key":      {[]testkit.GitOption{testkit.GitTLS()}, func(s *testkit.GitServer) map[string][]byte { return map[string][]byte{"caFile": s.CA} }, "", nil, ""},
		"CA, unknown":      {[]testkit.GitOption{testkit.GitTLS()}, fixed(nil), "", nil, "certificate signed by unknown authority"},
		"CA, not PEM":      {[]testkit.GitOption{testkit.GitTLS()}, fixed(map[string][]byte{"ca.crt": []byte("x")}), "", ErrAuthentication, "the CA holds no PEM certificate"},
		"client certificate": {[]testkit.GitOption{testkit.GitMutualTLS()}, func(s *testkit.GitServer) map[string][]byte {
			return map[string][]byte{"ca.crt": s.CA, "tls.crt": s.ClientCert, "tls.key": s.ClientKey}
		}, "", nil, ""},
		"client certificate, missing": {[]testkit.GitOption{testkit.GitMutualTLS()}, func(s *testkit.GitServer) map[string][]byte {
			return map[string][]byte{"ca.crt": s.CA}
		}, "", nil, "certificate required"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := newServer(t, tc.server...)
			target := strings.Replace(server.URL, "://", "://"+tc.user, 1) + "/repo.git"
			remote, err := newRemote(t, target, tc.secret(server))
			var files map[string]string
			if err == nil {
				_, files, err = checkout(t.Context(), newStore(t, 1<<30, Limits{}), remote, Reference{Branch: "main"})
			}
			checkError(t, err, tc.want, tc.text)
			if tc.text == "" && files["a.yaml"] != "a: 1" {
				t.Errorf("files %v", files)
			}
		})
	}
}

func fixed(secret map[string][]byte) func(*testkit.GitServer) map[string][]byte {
	return func(*testkit.GitServer) map[string][]byte { return secret }
}

// checkError wants no error if text is empty, and otherwise one that has the
// text, is of the class, and shows neither credentials nor answers.
func checkError(t *testing.T, err, class error, text string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want %q in it", err, text)
	}
	if class != nil && !errors.Is(err, class) {
		t.Errorf("error %q is not %q", err, class)
	}
	for _, secret := range []string{"s3cret", "t0ken", "secret body", "secret text"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q shows %q", err, secret)
		}
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/it's a repo.git")
	if err != nil {
		t.Fatal(err)
	}
	first := commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"a": "1"})})
	server, err := testkit.NewGitSSHServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	other, err := testkit.NewGitSSHServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)

	good := map[string][]byte{"identity": server.Identity, "known_hosts": server.KnownHosts}
	const path = "/it's a repo.git"
	tests := map[string]struct {
		path      string
		secret    map[string][]byte
		reference Reference
		want      error
		text      string
	}{
		"key":               {path, good, Reference{Branch: "main"}, nil, ""},
		"commit":            {path, good, Reference{Commit: first}, nil, ""},
		"passphrase":        {path, with(good, "identity", server.EncryptedIdentity, "password", []byte(server.Passphrase)), Reference{Branch: "main"}, nil, ""},
		"needless password": {path, with(good, "password", []byte("x")), Reference{Branch: "main"}, nil, ""},
		"locked key":        {path, with(good, "identity", server.EncryptedIdentity), Reference{}, ErrAuthentication, "the Secret has no 'password'"},
		"wrong passphrase":  {path, with(good, "identity", server.EncryptedIdentity, "password", []byte("x")), Reference{}, ErrAuthentication, "does not unlock"},
		"not a key":         {path, with(good, "identity", []byte("x")), Reference{}, ErrAuthentication, "not a private key"},
		"no key":            {path, nil, Reference{}, ErrAuthentication, "needs a Secret with the key 'identity'"},
		"no known_hosts":    {path, with(good, "known_hosts", nil), Reference{}, ErrAuthentication, "needs a Secret with the key 'known_hosts'"},
		"bad known_hosts":   {path, with(good, "known_hosts", []byte("host ssh-ed25519 x")), Reference{}, ErrAuthentication, "'known_hosts' cannot be read at line 1"},
		"other host key":    {path, with(good, "known_hosts", server.WrongKnownHosts), Reference{}, ErrAuthentication, "not the one in 'known_hosts'"},
		"other host":        {path, with(good, "known_hosts", other.KnownHosts), Reference{}, ErrAuthentication, "'known_hosts'"},
		"other identity":    {path, with(good, "identity", other.Identity), Reference{}, ErrAuthentication, "does not accept the 'identity'"},
		"no repository":     {"/gone.git", good, Reference{}, ErrNotFound, "no such repository"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote, err := newRemote(t, server.URL+tc.path, tc.secret)
			var files map[string]string
			if err == nil {
				_, files, err = checkout(t.Context(), newStore(t, 1<<30, Limits{}), remote, tc.reference)
			}
			checkError(t, err, tc.want, tc.text)
			if tc.text == "" && files["a"] != "1" {
				t.Errorf("files %v", files)
			}
		})
	}
}

// TestConversationsOutliveTheirContexts: the look and the fetch have a timeout
// each, and the end of the first must not end the connection of the second.
func TestConversationsOutliveTheirContexts(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]testkit.GitSSHOption{"v2": nil, "v0": {testkit.GitSSHProtocolV0()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
			if err != nil {
				t.Fatal(err)
			}
			server, err := testkit.NewGitSSHServer(dir, opts...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			remote := mustRemote(t, server.URL+"/repo.git", map[string][]byte{"identity": server.Identity, "known_hosts": server.KnownHosts})
			store := newStore(t, 1<<30, Limits{})
			for i := range 3 {
				want := commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"a": strconv.Itoa(i)})})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				target, err := store.Resolve(ctx, remote, main)
				cancel()
				if err != nil || target.Hash != want {
					t.Fatalf("target %+v, error %v", target, err)
				}
				if err := store.Read(t.Context(), remote, target, func(*Commit) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// with returns a copy of a Secret with some keys changed.
func with(secret map[string][]byte, pairs ...any) map[string][]byte {
	changed := map[string][]byte{}
	maps.Copy(changed, secret)
	for i := 0; i < len(pairs); i += 2 {
		value, _ := pairs[i+1].([]byte)
		changed[pairs[i].(string)] = value
	}
	return changed
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault testkit.GitFault
		want  error
		text  string
	}{
		"500":             {testkit.GitError, nil, "the server answered 500 Internal Server Error"},
		"500 on fetch":    {testkit.GitErrorOnFetch, nil, "the server answered 500 Internal Server Error"},
		"vanished":        {testkit.GitVanished, ErrNotFound, "the server answered 404 Not Found"},
		"truncated":       {testkit.GitTruncated, nil, "the server ended its answer early"},
		"garbled":         {testkit.GitGarbled, nil, "unable to clone"},
		"login page":      {testkit.GitLoginPage, nil, "not answer in the smart HTTP protocol"},
		"does not answer": {testkit.GitHangs, context.DeadlineExceeded, "the server did not answer in time"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t)
			commit(t, repo, testkit.GitCommit{Files: testkit.Files(map[string]string{"b": strings.Repeat("some text ", 300)})})
			store := newStore(t, 1<<30, Limits{})
			server.SetFault(tc.fault)
			patience := time.Minute
			if tc.fault == testkit.GitHangs {
				patience = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			remote := mustRemote(t, server.URL+"/repo.git?token=t0ken", nil)
			_, _, err := checkout(ctx, store, remote, Reference{Branch: "main"})
			checkError(t, err, tc.want, tc.text)
			if !strings.Contains(err.Error(), server.URL+"/repo.git'") {
				t.Errorf("error %q does not name the repository", err)
			}
			// The same remote and store work as soon as the server does.
			server.SetFault(testkit.GitHealthy)
			_, files, err := checkout(t.Context(), store, remote, Reference{Branch: "main"})
			if err != nil || files["a.yaml"] != "a: 1" {
				t.Errorf("after the fault: files %v, error %v", files, err)
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"https://h/x":              "",
		"ssh://git@h:22/x":         "",
		"https://h":                "the URL has no path, which would name the repository",
		"file:///x":                "the URL is not valid",
		"ftp://h/x":                `the scheme "ftp" of the URL is not one of http, https and ssh`,
		"https://bob:p%zz/ss@h/x":  "the URL is not valid",
		"git@github.com:owner/x":   "the URL is not valid",
		"https://bob:pa/ss@host/x": "the URL is not valid",
	}
	for raw, want := range tests {
		_, err := ParseURL(raw)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", raw, diff)
		}
	}
}
