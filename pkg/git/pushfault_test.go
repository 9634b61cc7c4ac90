// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestPushRefused: servers refuse in many ways, and none of their words shows.
func TestPushRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(t *testing.T, repo *testkit.GitRepo)
		want    error
		text    string
	}{
		"pre-receive": {func(t *testing.T, repo *testkit.GitRepo) {
			t.Helper()
			hook(t, repo, "pre-receive", "echo secret words >&2; exit 1")
		}, ErrDeclined, "pre-receive hook declined"},
		"update": {func(t *testing.T, repo *testkit.GitRepo) {
			t.Helper()
			hook(t, repo, "update", "echo secret words; exit 1")
		}, ErrDeclined, "hook of the server declined"},
		"moved in between": {func(t *testing.T, repo *testkit.GitRepo) {
			t.Helper()
			other := commit(t, repo, testkit.GitCommit{Branch: "other", Files: testkit.Files(map[string]string{"o": "o"})})
			hook(t, repo, "pre-receive", "unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main "+other)
		}, ErrNonFastForward, movedText},
		"deleted in between": {func(t *testing.T, repo *testkit.GitRepo) {
			t.Helper()
			hook(t, repo, "pre-receive", "unset GIT_QUARANTINE_PATH; git update-ref -d refs/heads/main")
		}, ErrNonFastForward, movedText},
		"locked": {func(t *testing.T, repo *testkit.GitRepo) {
			t.Helper()
			write(t, repo.Dir+"/refs/heads/main.lock", nil)
		}, nil, "could not write the references"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transports(t, func(t *testing.T, repo *testkit.GitRepo, _ *testkit.GitServer, remote func() *Remote) {
				t.Helper()
				tc.prepare(t, repo)
				_, err := change(t.Context(), newStore(t, 1<<30, Limits{}), remote(), map[string]string{"a.yaml": "2"})
				if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("error %v, want %v with %q", err, tc.want, tc.text)
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("error %v shows words of the server", err)
				}
				fsck(t, repo)
			})
		})
	}
}

// TestPushAgainstRules: a server that denies rewriting, or objects that it
// checks.
func TestPushAgainstRules(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t)
	git(t, repo, "", "config", "receive.denyNonFastForwards", "true")
	git(t, repo, "", "config", "receive.denyDeletes", "true")
	other := commit(t, repo, testkit.GitCommit{Branch: "other", Files: testkit.Files(map[string]string{"o": "o"})})
	store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
	target, err := store.Resolve(t.Context(), remote, main)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Read(t.Context(), remote, target, func(c *Commit) error {
		push := func(u Update) error { return store.Push(t.Context(), remote, Push{Updates: []Update{u}}) }
		if err := push(Update{Ref: "refs/heads/other", Old: other, New: c}); !errors.Is(err, ErrDeclined) || !strings.Contains(err.Error(), "fast-forward") {
			t.Errorf("error %v, want ErrDeclined", err)
		}
		if err := push(Update{Ref: "refs/heads/other", Old: other, Delete: true}); !errors.Is(err, ErrDeclined) {
			t.Errorf("error %v, want ErrDeclined", err)
		}
		bad, err := c.Draft(Draft{Author: Signature{Name: "x", Email: "x", When: time.Unix(-5, 0)}, Message: "x", Files: map[string][]byte{"a.yaml": []byte("2")}})
		if err != nil {
			return err
		}
		if err := push(Update{Ref: "refs/heads/main", Old: c.Hash, New: bad}); !errors.Is(err, ErrDeclined) {
			t.Errorf("error %v, want ErrDeclined", err)
		}
		nobody, err := c.Draft(Draft{Author: Signature{Email: "x@example.com"}, Message: "", Files: map[string][]byte{"a.yaml": []byte("2")}})
		if err != nil {
			return err
		}
		return push(Update{Ref: "refs/heads/main", Old: c.Hash, New: nobody})
	})
	if err != nil {
		t.Fatal(err)
	}
	fsck(t, repo)
}

// TestPushFaults: an answer that is lost is looked for.
func TestPushFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault testkit.GitFault
		lands bool
		want  error
	}{
		"500":                {testkit.GitErrorOnPush, false, nil},
		"dropped":            {testkit.GitDropsPush, false, nil},
		"dropped afterwards": {testkit.GitDropsAfterPush, true, nil},
		"truncated":          {testkit.GitTruncatedReport, true, nil},
		"hangs":              {testkit.GitHangsOnPush, false, context.DeadlineExceeded},
		"vanished":           {testkit.GitVanished, false, ErrNotFound},
		"login page":         {testkit.GitLoginPage, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, repo := newServer(t)
			store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", nil)
			if _, err := change(t.Context(), store, remote, map[string]string{"a.yaml": "before"}); err != nil {
				t.Fatal(err)
			}
			before := tip(t, repo)
			target, err := store.Resolve(t.Context(), remote, main)
			if err != nil {
				t.Fatal(err)
			}
			timeout := 30 * time.Second
			if tc.fault == testkit.GitHangsOnPush {
				timeout = 3 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			server.SetFault(tc.fault)
			err = store.Read(ctx, remote, target, func(c *Commit) error {
				next, err := c.Draft(draftOf(map[string]string{"a.yaml": "after"}))
				if err != nil {
					return err
				}
				return store.Push(ctx, remote, Push{Updates: []Update{{Ref: "refs/heads/main", Old: c.Hash, New: next}}})
			})
			server.SetFault(testkit.GitHealthy)
			if (err == nil) != tc.lands || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error %v, lands %v", err, tc.lands)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || errors.Is(err, ErrDeclined) || errors.Is(err, ErrNonFastForward)) {
				t.Errorf("error %v", err)
			}
			if (tip(t, repo) != before) != tc.lands {
				t.Errorf("main moved: %v", tip(t, repo) != before)
			}
			if _, err := change(t.Context(), store, remote, map[string]string{"a.yaml": "again"}); err != nil {
				t.Error(err)
			}
			fsck(t, repo)
		})
	}
}

// TestPushIsRedirected: as a fetch is, by the first request, and TLS and
// passwords are those of the server.
func TestPushIsRedirected(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t, testkit.GitBasicAuth("bob", "s3cret"))
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := *r.URL
		target.Path = strings.Replace(target.Path, "/old.git/", "/repo.git/", 1)
		http.Redirect(w, r, target.String(), http.StatusMovedPermanently)
	}))
	defer front.Close()
	mux := http.NewServeMux()
	mux.Handle("/old.git/", front.Config.Handler)
	mux.Handle("/repo.git/", server)
	both := httptest.NewServer(mux)
	defer both.Close()
	secret := map[string][]byte{"username": []byte("bob"), "password": []byte("s3cret")}
	store := newStore(t, 1<<30, Limits{})
	if _, err := change(t.Context(), store, mustRemote(t, both.URL+"/old.git", secret), map[string]string{"a.yaml": "2"}); err != nil {
		t.Error(err)
	}
	// Another host gets no password, and so takes no push.
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, server.URL+r.URL.RequestURI(), http.StatusFound)
	})
	if _, err := change(t.Context(), store, mustRemote(t, front.URL+"/repo.git", secret), map[string]string{"a.yaml": "3"}); !errors.Is(err, ErrAuthentication) {
		t.Errorf("error %v, want ErrAuthentication", err)
	}
	fsck(t, repo)
}

func TestPushOverTLS(t *testing.T) {
	t.Parallel()
	server, repo := newServer(t, testkit.GitMutualTLS(), testkit.GitBasicAuth("bob", "s3cret"))
	secret := map[string][]byte{
		"ca.crt": server.CA, "tls.crt": server.ClientCert, "tls.key": server.ClientKey, "username": []byte("bob"), "password": []byte("s3cret"),
	}
	hash, err := change(t.Context(), newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", secret), map[string]string{"a.yaml": "2"})
	if err != nil || hash != tip(t, repo) {
		t.Errorf("error %v", err)
	}
}

func TestPushFaultsOverSSH(t *testing.T) {
	t.Parallel()
	_, repo := newServer(t)
	server, secret := sshServer(t, repo)
	store, remote := newStore(t, 1<<30, Limits{}), mustRemote(t, server.URL+"/repo.git", secret)
	server.SetDropsAfterPush(true)
	hash, err := change(t.Context(), store, remote, map[string]string{"a.yaml": "2"})
	if err != nil || hash != tip(t, repo) {
		t.Errorf("error %v", err)
	}
	server.SetReadOnly(true)
	if _, err := change(t.Context(), store, remote, map[string]string{"a.yaml": "3"}); !errors.Is(err, ErrAuthentication) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want ErrAuthentication", err)
	}
}
