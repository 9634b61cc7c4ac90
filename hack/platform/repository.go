// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"fmt"
	"io/fs"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// Environment is the one of the example that runs on the platform.
const Environment = "dev"

// source is the file of the example that names the repository's address.
const source = "infra/base/weir/source.yaml"

// A Repository is the example in a Git repository that is served over HTTP,
// with a working copy to commit in.
type Repository struct {
	// URL of the repository as the controllers know it, and Remote as this
	// machine does.
	URL, Remote string
	// Dir is the working copy, and Bare what it is pushed to.
	Dir  string
	Bare *testkit.GitRepo
}

// A Change is a commit to be made.
type Change struct {
	// Author as "Name <address>", and the message.
	Author, Message string
	Edits           []Edit
}

// An Edit replaces the one place in a file where Old stands.
type Edit struct {
	Path, Old, New string
}

// Serve starts a Git server with an empty repository and a registry with the
// first adapter, and puts the example into a working copy, still to be
// committed. Its addresses are changed to these, as its README asks for, and how
// often they are looked at, so that nobody has to wait a minute for what takes a
// second.
func (p *Platform) Serve(ctx context.Context) error {
	if err := p.ServeGit(ctx); err != nil {
		return err
	}
	r, err := p.AddRepository(ctx, "llm-platform", os.DirFS(filepath.Join(p.root, "examples", "llm-platform")))
	if err != nil {
		return err
	}
	p.Repository = r
	for _, edit := range []Edit{
		{source, "url: https://github.com/acme-ml/llm-platform", "url: " + r.URL},
		{source, "interval: 1m", "interval: 1s"},
	} {
		if err := r.apply(edit); err != nil {
			return fmt.Errorf("adapt the example: %w", err)
		}
	}
	return p.serveModels(ctx)
}

// ServeGit starts a Git server without repositories.
func (p *Platform) ServeGit(ctx context.Context) error {
	if err := os.MkdirAll(p.path("git"), 0o750); err != nil {
		return fmt.Errorf("make a directory for repositories: %w", err)
	}
	server, err := testkit.NewGitServer(p.path("git"), testkit.GitAddress(p.listen())) //nolint:contextcheck // The server goes on when ctx ends, until Stop.
	if err != nil {
		return err
	}
	p.Git = server
	p.gitURL, err = p.knownURL(ctx, "git", "80", server.URL)
	return err
}

// AddRepository adds an empty repository to the Git server, and a working copy
// with the given files, still to be committed.
func (p *Platform) AddRepository(ctx context.Context, name string, files fs.FS) (*Repository, error) {
	bare, err := testkit.NewGitRepo(ctx, p.path("git", name+".git"))
	if err != nil {
		return nil, err
	}
	r := &Repository{URL: p.gitURL + "/" + name + ".git", Remote: p.Git.URL + "/" + name + ".git", Dir: p.path(name), Bare: bare}
	if err := os.CopyFS(r.Dir, files); err != nil {
		return nil, fmt.Errorf("fill the repository %s: %w", name, err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main", "."},
		{"remote", "add", "origin", r.Remote},
		{"config", "push.default", "current"},
	} {
		if _, err := r.Git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Pull brings the working copy to what others have pushed and returns the hash
// of the commit.
func (r *Repository) Pull(ctx context.Context) (string, error) {
	if _, err := r.Git(ctx, "pull", "--quiet", "--ff-only", "origin", "main"); err != nil {
		return "", err
	}
	return r.Git(ctx, "rev-parse", "HEAD")
}

// Push commits a change, with whatever else is new in the working copy, pushes
// it and returns its hash.
func (r *Repository) Push(ctx context.Context, change Change) (string, error) {
	for _, edit := range change.Edits {
		if err := r.apply(edit); err != nil {
			return "", err
		}
	}
	if _, err := r.Git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if err := r.as(ctx, change.Author, "commit", "--quiet", "--message", change.Message); err != nil {
		return "", err
	}
	return r.push(ctx)
}

// Revert reverts a commit, pushes that and returns the hash of the new one.
func (r *Repository) Revert(ctx context.Context, author, commit string) (string, error) {
	if err := r.as(ctx, author, "revert", "--no-edit", commit); err != nil {
		return "", err
	}
	return r.push(ctx)
}

// Git runs git in the working copy, unimpressed by the user's settings, and
// returns what it printed.
func (r *Repository) Git(ctx context.Context, args ...string) (string, error) {
	return r.git(ctx, nil, args...)
}

// Revision is how the status of sources and Kustomizations names a commit.
func Revision(commit string) string {
	return "main@sha1:" + commit
}

func (r *Repository) push(ctx context.Context) (string, error) {
	if _, err := r.Git(ctx, "push", "--quiet", "origin"); err != nil {
		return "", err
	}
	return r.Git(ctx, "rev-parse", "HEAD")
}

// as runs git as the given person.
func (r *Repository) as(ctx context.Context, person string, args ...string) error {
	address, err := mail.ParseAddress(person)
	if err != nil {
		return fmt.Errorf("%q is not \"Name <address>\": %w", person, err)
	}
	_, err = r.git(ctx, []string{
		"GIT_AUTHOR_NAME=" + address.Name, "GIT_AUTHOR_EMAIL=" + address.Address,
		"GIT_COMMITTER_NAME=" + address.Name, "GIT_COMMITTER_EMAIL=" + address.Address,
	}, args...)
	return err
}

func (r *Repository) git(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = environment(append(env, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)...)
	return output(cmd, "git", args)
}

func (r *Repository) apply(edit Edit) error {
	file := filepath.Join(r.Dir, edit.Path)
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("edit %s: %w", edit.Path, err)
	}
	if n := strings.Count(string(content), edit.Old); n != 1 {
		return fmt.Errorf("edit %s: %q stands there %d times, not once", edit.Path, edit.Old, n)
	}
	return os.WriteFile(file, []byte(strings.Replace(string(content), edit.Old, edit.New, 1)), 0o600)
}
