// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// gitEnv makes git independent of the machine's configuration. Repositories
// may belong to another user than the one who serves them.
func gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=/nonexistent", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_CONFIG_COUNT=4",
		"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		"GIT_CONFIG_KEY_1=http.receivepack", "GIT_CONFIG_VALUE_1=true",
		// What is pushed is checked as strictly as any forge does.
		"GIT_CONFIG_KEY_2=receive.fsckObjects", "GIT_CONFIG_VALUE_2=true",
		"GIT_CONFIG_KEY_3=gc.auto", "GIT_CONFIG_VALUE_3=0",
	}
}

// GitRepo is a bare repository on disk that tests and demonstrations write
// commits into without a worktree.
type GitRepo struct {
	// Dir is the directory of the bare repository.
	Dir string
}

// GitFile is one path of a commit.
type GitFile struct {
	// Content is what the file holds, or where a symlink points to.
	Content string
	// Mode is that of Git: "100644" (default), "100755" or "120000" for a
	// symlink.
	Mode string
}

// GitCommit is what GitRepo.Commit writes on top of a branch.
type GitCommit struct {
	// Branch to write to, created if missing; default "main".
	Branch string
	// Message of the commit; default "update".
	Message string
	// Author as "Name <address>"; default "Weir Test <test@example.com>".
	Author string
	// When it was committed; default a fixed time.
	When time.Time
	// Files to add or replace, by path.
	Files map[string]GitFile
	// Delete lists paths to remove.
	Delete []string
}

// NewGitRepo creates a bare repository with the default branch "main".
func NewGitRepo(ctx context.Context, dir string) (*GitRepo, error) {
	r := &GitRepo{Dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	if _, err := r.Git(ctx, "init", "--quiet", "--bare", "--initial-branch=main", "."); err != nil {
		return nil, err
	}
	return r, nil
}

// Git runs a git command in the repository and returns what it printed,
// without the last line break.
func (r *GitRepo) Git(ctx context.Context, args ...string) (string, error) {
	return r.GitInput(ctx, "", args...)
}

// GitInput is Git with input for the command.
func (r *GitRepo) GitInput(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(gitEnv(), "GIT_COMMITTER_NAME=Weir Test", "GIT_COMMITTER_EMAIL=test@example.com")
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// Hook makes the repository run a shell script at pushes: "pre-receive",
// "update" or "post-receive". An empty script removes the hook.
func (r *GitRepo) Hook(name, script string) error {
	path := filepath.Join(r.Dir, "hooks", name)
	if script == "" {
		return os.Remove(path)
	}
	// Replaced in one step: another process may run it at the moment.
	draft := path + ".new"
	if err := os.WriteFile(draft, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil { //#nosec G306 -- a program
		return fmt.Errorf("write hook: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("write hook: %w", err)
	}
	return nil
}

// Commit writes a commit and returns its hash.
func (r *GitRepo) Commit(ctx context.Context, c GitCommit) (string, error) {
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Message == "" {
		c.Message = "update"
	}
	if c.Author == "" {
		c.Author = "Weir Test <test@example.com>"
	}
	if c.When.IsZero() {
		c.When = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	}
	ref := "refs/heads/" + c.Branch
	_, err := r.Git(ctx, "rev-parse", "--verify", "--quiet", ref)
	if _, err := r.GitInput(ctx, fastImport(ref, err == nil, c), "fast-import", "--quiet", "--force"); err != nil {
		return "", err
	}
	return r.Git(ctx, "rev-parse", ref)
}

// fastImport renders the commit as a stream for git fast-import.
func fastImport(ref string, exists bool, c GitCommit) string {
	var b strings.Builder
	stamp := fmt.Sprintf("%d +0000", c.When.Unix())
	fmt.Fprintf(&b, "commit %s\nauthor %s %s\ncommitter %s %s\n", ref, c.Author, stamp, c.Author, stamp)
	fmt.Fprintf(&b, "data %d\n%s\n", len(c.Message), c.Message)
	if exists {
		fmt.Fprintf(&b, "from %s^0\n", ref)
	}
	for _, path := range c.Delete {
		fmt.Fprintf(&b, "D %s\n", quotePath(path))
	}
	paths := make([]string, 0, len(c.Files))
	for path := range c.Files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		file := c.Files[path]
		mode := file.Mode
		if mode == "" {
			mode = "100644"
		}
		fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", mode, quotePath(path), len(file.Content), file.Content)
	}
	return b.String()
}

// quotePath writes a path the way fast-import reads any path.
func quotePath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// Tag points a tag at a commit: an annotated one if message is not empty.
func (r *GitRepo) Tag(ctx context.Context, name, commit, message string) error {
	args := []string{"tag", "--force"}
	if message != "" {
		args = append(args, "--annotate", "--message", message)
	}
	_, err := r.Git(ctx, append(args, name, commit)...)
	return err
}

// Files makes the Files of a GitCommit from plain contents by path.
func Files(contents map[string]string) map[string]GitFile {
	files := make(map[string]GitFile, len(contents))
	for path, content := range contents {
		files[path] = GitFile{Content: content}
	}
	return files
}
