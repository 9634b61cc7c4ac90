// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// workerArg makes this test binary a worker.
const workerArg = "build-worker"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == workerArg {
		if err := Work(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// worker returns this test binary as Options.Worker wants it.
func worker(t testing.TB) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{program, workerArg}
}

// site serves a file, a Git repository and a path that never answers.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	dir := lay(t, map[string]string{
		"a.yaml":                  settings,
		"work/kustomization.yaml": head + "resources: [b.yaml]\n", "work/b.yaml": account,
		"bad/kustomization.yaml": head + "resources: [missing.yaml]\n",
	})
	git := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for repository, work := range map[string]string{"repo.git": "work", "bad.git": "bad"} {
		git("init", "-q", "-b", "main", work)
		git("-C", work, "add", ".")
		git("-C", work, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "x")
		git("clone", "-q", "--bare", work, repository)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"},
		// kustomize first asks for the address as a file, which Git reports.
		Stderr: io.Discard,
	}
	mux := http.NewServeMux()
	mux.Handle("/a.yaml", http.FileServer(http.Dir(dir)))
	mux.Handle("/repo.git/", backend)
	mux.Handle("/bad.git/", backend)
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestRemoteBases has kustomize fetch a file and clone a repository, from this machine.
func TestRemoteBases(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{"in this process": nil, "in a worker": worker(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := site(t)
			root := lay(t, map[string]string{
				"file/kustomization.yaml": head + "resources: [\"" + server.URL + "/a.yaml\"]\n",
				"repo/kustomization.yaml": head + "resources: [\"" + server.URL + "/repo.git?ref=main\"]\nnamePrefix: x-\n",
				"bad/kustomization.yaml":  head + "resources: [\"" + server.URL + "/bad.git?ref=main\"]\n",
			})
			b := New(Options{Worker: command})
			for path, name := range map[string]string{"file": "settings", "repo": "x-web"} {
				spec := kustomizev1.KustomizationSpec{Path: path}
				result, err := b.Build(t.Context(), request(root, spec))
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				if len(result.Objects) != 1 || result.Objects[0].GetName() != name {
					t.Errorf("%s: got %v", path, contents(result.Objects))
				}
				if _, err := New(Options{NoRemoteBases: true}).Build(t.Context(), request(root, spec)); err == nil {
					t.Errorf("%s: fetched although that is not allowed", path)
				}
			}
			_, err := b.Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: "bad"}))
			if err == nil || !strings.Contains(err.Error(), "missing.yaml") || strings.Contains(err.Error(), os.TempDir()) {
				t.Errorf("a fault in a remote base: %v", err)
			}
			// What was fetched may be another thing the next time, and must not be kept.
			server.Close()
			for _, path := range []string{"file", "repo"} {
				if _, err := b.Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: path})); err == nil {
					t.Errorf("%s: kept", path)
				} else if strings.Contains(err.Error(), os.TempDir()) {
					t.Errorf("%s: the error names a path of this machine: %v", path, err)
				}
			}
			if used := b.CachedBytes(); used > 10_000 {
				t.Errorf("%d bytes are kept", used)
			}
		})
	}
}

// TestAServerThatNeverAnswers must hold up nobody but the Kustomization that names it.
func TestAServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	server := site(t)
	files := overlayFiles()
	files["hang/kustomization.yaml"] = head + "resources: [\"" + server.URL + "/hang\"]\n"
	root := lay(t, files)
	b := New(Options{Worker: worker(t)})
	hanging, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.Build(hanging, request(root, kustomizev1.KustomizationSpec{Path: "hang"}))
		ended <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.Build(ctx, request(root, kustomizev1.KustomizationSpec{Path: "prod"})); err != nil {
		t.Errorf("another build: %v", err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended by itself: %v", err)
	default:
	}
	stop()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("it did not end with its context")
	}
}

func TestAWorkerThatFails(t *testing.T) {
	t.Parallel()
	root := lay(t, map[string]string{"kustomization.yaml": head + "resources: [\"http://127.0.0.1:1/a.yaml\"]\n"})
	for name, tc := range map[string]struct {
		command []string
		want    string
	}{
		"not there":    {[]string{"/nowhere/worker"}, "the build's own process ended early: no such file or directory"},
		"it ends":      {[]string{"false"}, "the build's own process ended early: exit status 1"},
		"says nothing": {[]string{"true"}, "the build's own process gave no answer"},
	} {
		_, err := New(Options{Worker: tc.command}).Build(t.Context(), request(root, kustomizev1.KustomizationSpec{}))
		if want := "kustomize build of the root of the source: " + tc.want; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestWhatIsRemote(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]struct{ url, repository, machine bool }{
		"a.yaml":                            {},
		"../base":                           {},
		"apps/github.com/x":                 {},
		"https://example.com/a.yaml":        {url: true, repository: true},
		"HTTP://example.com/a":              {url: true, repository: true},
		"https://example.com/o/r//d?ref=v1": {url: true, repository: true},
		"ssh://git@example.com/o/r":         {repository: true},
		"git::https://example.com/o/r":      {repository: true},
		"git@example.com:o/r":               {repository: true},
		"me@example.com:o/r.git//d":         {repository: true},
		"github.com/o/r":                    {repository: true},
		"GitHub.com:o/r":                    {repository: true},
		"file:///srv/r":                     {repository: true, machine: true},
		"git::file:///srv/r":                {repository: true, machine: true},
		"/srv/r":                            {machine: true},
	} {
		if isURL(entry) != want.url || isRepository(entry) != want.repository || isMachinePath(entry) != want.machine {
			t.Errorf("%q: URL %v, repository %v, machine path %v", entry, isURL(entry), isRepository(entry), isMachinePath(entry))
		}
	}
}
