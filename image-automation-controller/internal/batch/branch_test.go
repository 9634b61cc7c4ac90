// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// proposed returns a job that goes to a branch of its own.
func (w *world) proposed(i int, text string) Job {
	j := w.bump(i, text)
	j.Target.Branch = "images"
	return j
}

func TestOtherBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.git("rev-parse", "main")
	none := w.one(w.proposed(0, "v0"))
	if none.Err != nil || none.Commit != "" || none.Head != "" || none.Revision != "main@sha1:"+base {
		t.Errorf("nothing to propose: %+v", none)
	}
	w.Submit(w.proposed(0, "v1"))
	w.Submit(w.proposed(1, "v1"))
	got := w.outcomes(2)
	first := got["bot-01"]
	if first.Err != nil || first.Commit != first.Head || first.Head != w.git("rev-parse", "images") || w.git("rev-parse", "images~2") != base {
		t.Fatalf("outcome %+v", first)
	}
	// The same again is there already: no push, and the commits are found.
	pushes := w.server.Stats().Pushes
	w.Submit(w.proposed(0, "v1"))
	w.Submit(w.proposed(1, "v1"))
	for name, o := range w.outcomes(2) {
		if o.Err != nil || o.Commit != got[name].Commit || o.Head != first.Head {
			t.Errorf("%s: outcome %+v, want %+v", name, o, got[name])
		}
	}
	if n := w.server.Stats().Pushes; n != pushes {
		t.Errorf("%d pushes of what is there", n-pushes)
	}
	// A newer proposal replaces it, and one on a newer base.
	o := w.one(w.proposed(0, "v2"))
	if o.Err != nil || w.git("rev-parse", "images^") != base || o.Head != w.git("rev-parse", "images") {
		t.Errorf("outcome %+v", o)
	}
	base = w.commit("main", map[string]string{"x": "1"})
	o = w.one(w.proposed(0, "v2"))
	if o.Err != nil || w.git("rev-parse", "images^") != base || o.Head != w.git("rev-parse", "images") || w.git("show", "images:"+file(0)) != "v2" {
		t.Errorf("outcome %+v", o)
	}
	// Merged: nothing is left to propose, and the branch stays as it is.
	w.git("update-ref", "refs/heads/main", "images")
	if o = w.one(w.proposed(0, "v2")); o.Err != nil || o.Commit != "" || o.Head != w.git("rev-parse", "images") {
		t.Errorf("outcome %+v", o)
	}
	w.clean()
}

func TestLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := errors.New("a person pushed")
	lease := func(head *git.Commit) error {
		if !strings.HasPrefix(head.Author.Name, "bot-") {
			return foreign
		}
		return nil
	}
	j := w.proposed(0, "v1")
	j.Target.Lease = lease
	if o := w.one(j); o.Err != nil || o.Commit == "" {
		t.Fatalf("outcome %+v", o)
	}
	j.Plan = bump(0, "v2")
	if o := w.one(j); o.Err != nil || o.Commit == "" {
		t.Fatalf("outcome %+v", o)
	}
	theirs := w.commit("images", map[string]string{"x": "1"})
	j.Plan = bump(0, "v3")
	if o := w.one(j); !errors.Is(o.Err, foreign) || o.Commit != "" || o.Head != theirs {
		t.Errorf("outcome %+v, want a refusal", o)
	}
	// Who pushes while the plan is made is asked about too.
	w.git("update-ref", "refs/heads/images", "images^")
	j.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
		theirs = w.commitWith(ctx, "images", map[string]string{"x": "2"})
		return bump(0, "v3")(ctx, tip)
	}
	if o := w.one(j); !errors.Is(o.Err, foreign) || w.git("rev-parse", "images") != theirs {
		t.Errorf("outcome %+v, want a refusal", o)
	}
	w.clean()
}

// TestLeaseOnAllCommits: a commit of somebody else below one of ours is not
// replaced either, and those of the base are nobody's.
func TestLeaseOnAllCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := errors.New("a person pushed")
	j := w.proposed(0, "v1")
	j.Target.Lease = func(c *git.Commit) error {
		if !strings.HasPrefix(c.Author.Name, "bot-") {
			return foreign
		}
		return nil
	}
	ours := w.one(j).Commit
	as := func(author, parent, branch, path string) string {
		t.Helper()
		w.git("update-ref", "refs/heads/"+branch, parent)
		hash, err := w.repo.Commit(t.Context(), testkit.GitCommit{Branch: branch, Author: author, Files: testkit.Files(map[string]string{path: parent})})
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	theirs := as("Person <p@example.com>", ours, "images", "x")
	head := as("bot-00 <bot@example.com>", theirs, "images", "y")
	j.Plan = bump(0, "v2")
	if o := w.one(j); !errors.Is(o.Err, foreign) || o.Head != head || w.git("rev-parse", "images") != head {
		t.Errorf("outcome %+v, want that a commit below the head is not lost", o)
	}
	// The base moves on, by commits of people.
	w.git("update-ref", "refs/heads/images", ours)
	for i := range 30 {
		w.commit("main", map[string]string{"z": fmt.Sprint(i)})
	}
	o := w.one(j)
	if o.Err != nil || w.git("rev-parse", "images") != o.Commit || w.git("rev-parse", "images^") != w.git("rev-parse", "main") {
		t.Errorf("outcome %+v, want a commit on the new base", o)
	}
	// The branch is merged with what somebody added, and left behind.
	theirs = as("Person <p@example.com>", o.Commit, "images", "x")
	main := w.git("rev-parse", "main")
	merge := w.git("-c", "user.name=p", "-c", "user.email=p@example.com", "commit-tree", "-p", main, "-p", theirs, "-m", "merge", theirs+"^{tree}")
	w.git("update-ref", "refs/heads/main", merge)
	j.Plan = bump(0, "v3")
	if o = w.one(j); o.Err != nil || w.git("rev-parse", "images^") != merge {
		t.Errorf("outcome %+v, want that what was merged is replaced", o)
	}
	// Another history of the base does not have it: nobody knows whose it was.
	w.git("update-ref", "refs/heads/main", main)
	j.Plan = bump(0, "v4")
	if o = w.one(j); !errors.Is(o.Err, foreign) {
		t.Errorf("outcome %+v, want a refusal", o)
	}
	w.clean()
}

// TestDeclinedAloneOnAnotherBranch: those that go alone do not replace each other.
func TestDeclinedAloneOnAnotherBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.repo.Hook("pre-receive", strings.ReplaceAll(badCommit, `"$old..$new"`, `"main..$new"`)); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		w.Submit(w.proposed(i, "v1"))
	}
	for name, o := range w.outcomes(4) {
		if (name == "bot-02") != errors.Is(o.Err, git.ErrDeclined) || (name == "bot-02") != (o.Err != nil) {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if log := w.git("log", "--reverse", "--format=%an", "images"); log != "Person\nbot-00\nbot-01\nbot-03" {
		t.Errorf("log %q", log)
	}
	w.clean()
}

// TestTagCheckedOut: any reference can be the base of another branch.
func TestTagCheckedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.repo.Tag(t.Context(), "v1.0.0", "main", "annotated"); err != nil {
		t.Fatal(err)
	}
	base := w.git("rev-parse", "main")
	w.commit("main", map[string]string{"x": "1"})
	j := w.proposed(0, "v1")
	j.Target.Checkout, j.Target.Base = git.Reference{SemVer: "1.x"}, ""
	if o := w.one(j); o.Err != nil || w.git("rev-parse", "images^") != base || o.Revision != "v1.0.0@sha1:"+base {
		t.Errorf("outcome %+v", o)
	}
	w.clean()
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	planning, done := make(chan struct{}), make(chan struct{})
	first := w.bump(0, "v1")
	slow := w.bump(1, "v1")
	slow.Plan = func(ctx context.Context, _ Tip) (*git.Draft, error) {
		close(planning)
		<-ctx.Done()
		close(done)
		return nil, ctx.Err()
	}
	last := w.bump(2, "v1")
	last.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
		w.Cancel(owner(0)) // Its commit is made, but not pushed.
		return bump(2, "v1")(ctx, tip)
	}
	for _, j := range []Job{first, slow, last} {
		w.Submit(j)
	}
	<-planning
	w.Submit(w.bump(3, "v1"))
	w.Submit(w.bump(3, "v2"))
	w.Submit(w.bump(4, "v1"))
	if !w.Pending(owner(1)) || !w.Pending(owner(4)) {
		t.Error("jobs are not pending")
	}
	w.Cancel(owner(1))
	w.Cancel(owner(4))
	<-done
	got := w.outcomes(2)
	if got["bot-02"].Err != nil || got["bot-03"].Err != nil || w.Pending(owner(1)) || w.Pending(owner(0)) {
		t.Errorf("outcomes %+v", got)
	}
	if log := w.git("log", "--reverse", "--format=%an %s", "main"); log != "Person update\nbot-02 v1\nbot-03 v2" {
		t.Errorf("log %q", log)
	}
	w.clean()
	select {
	case who := <-w.woken:
		t.Errorf("%s was woken", who)
	default:
	}
}

// TestShutdown: what is under way ends, what was not pushed leaves nothing.
func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.git("rev-parse", "main")
	planning := make(chan struct{})
	j := w.bump(0, "v1")
	j.Timeout = time.Hour
	j.Plan = func(ctx context.Context, _ Tip) (*git.Draft, error) {
		close(planning)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.Submit(j)
	<-planning
	w.stop()
	w.Submit(w.bump(1, "v1"))
	if _, found := w.Take(owner(0)); found || w.git("rev-parse", "main") != before {
		t.Error("an outcome, or a commit, of what was stopped")
	}
	// The next process does it.
	w.start()
	if o := w.one(w.bump(0, "v1")); o.Err != nil || o.Commit == "" {
		t.Errorf("outcome %+v", o)
	}
	w.clean()
}

// TestLostAnswer: a push that landed while its answer did not is one.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.SetFault(testkit.GitDropsAfterPush)
	o := w.one(w.bump(0, "v1"))
	if o.Err != nil || o.Commit != w.git("rev-parse", "main") {
		t.Errorf("outcome %+v", o)
	}
	w.server.SetFault(testkit.GitErrorOnPush)
	if o = w.one(w.bump(0, "v2")); o.Err == nil || o.Commit != "" || strings.Contains(o.Err.Error(), "secret") {
		t.Errorf("outcome %+v", o)
	}
	w.server.SetFault(testkit.GitHealthy)
	if o = w.one(w.bump(0, "v2")); o.Err != nil || w.git("rev-list", "--count", "main") != "3" {
		t.Errorf("outcome %+v", o)
	}
	w.clean()
}

// TestDeadServerHoldsNobodyElse: with more of its keys than may run at a time.
func TestDeadServerHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead, err := testkit.NewGitServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	dead.SetFault(testkit.GitHangs)
	lost := func(i int, timeout time.Duration) Job {
		j := w.bump(i, "v1")
		j.Target.URL, j.Timeout = dead.URL+"/repo.git", timeout
		j.Target.Branch = owner(i).Name // a key of its own
		return j
	}
	if o := w.one(lost(0, 300*time.Millisecond)); !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("outcome %+v", o)
	}
	for i := range maxRuns + 8 {
		w.Submit(lost(i, time.Hour))
	}
	if o := w.one(w.bump(99, "v1")); o.Err != nil {
		t.Errorf("outcome %+v", o)
	}
	// Whoever does not want to wait any longer need not.
	for i := range maxRuns + 8 {
		w.Cancel(owner(i))
	}
	w.clean()
}

// TestDamagedStore: what is on disk is fetched anew.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if o := w.one(w.bump(0, "v1")); o.Err != nil {
		t.Fatal(o.Err)
	}
	packs, err := filepath.Glob(w.dir + "/*/objects/pack/*.pack")
	if err != nil || len(packs) != 2 {
		t.Fatalf("packs %v, error %v", packs, err)
	}
	for _, pack := range packs {
		data, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		for i := 40; i < len(data)-20; i += 7 {
			data[i] ^= 0x5a
		}
		if err := os.WriteFile(pack, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.Submit(w.bump(1, "v1"))
	w.Submit(w.bump(2, "v1"))
	for name, o := range w.outcomes(2) {
		if o.Err != nil || o.Commit == "" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	w.clean()
}

// TestOverSSH: with history, which needs conversations of its own.
func TestOverSSH(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 30 {
		w.commit("main", map[string]string{"x": time.Now().String()})
	}
	server, err := testkit.NewGitSSHServer(filepath.Dir(w.repo.Dir))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	u, err := url.Parse(server.URL + "/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	auth, err := git.AuthFor(u, map[string][]byte{"identity": server.Identity, "known_hosts": server.KnownHosts})
	if err != nil {
		t.Fatal(err)
	}
	counts := make(chan int, 10)
	for i := range 5 {
		j := w.bump(i, "v1")
		j.Target.URL, j.Target.Auth = u.String(), auth
		j.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
			n := 0
			err := tip.History(25, func(*git.Commit) (bool, error) { n++; return true, nil })
			counts <- n
			if err != nil {
				return nil, err
			}
			return bump(i, "v1")(ctx, tip)
		}
		w.Submit(j)
	}
	for name, o := range w.outcomes(5) {
		if o.Err != nil || o.Commit == "" || <-counts != 25 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if n := server.Sessions(); n > 4 {
		t.Errorf("%d sessions, want one to look and to fetch, two for history, one for the push", n)
	}
	server.SetReadOnly(true)
	j := w.bump(0, "v2")
	j.Target.URL, j.Target.Auth = u.String(), auth
	if o := w.one(j); !errors.Is(o.Err, git.ErrAuthentication) {
		t.Errorf("outcome %+v, want ErrAuthentication", o)
	}
	server.Close()
	w.clean()
}

// TestKeys: what differs where jobs must not share a push.
func TestKeys(t *testing.T) {
	t.Parallel()
	base := Target{URL: "https://x/y", Checkout: git.Reference{Branch: "main"}, Branch: "main", Base: "main"}
	other := map[string]func(*Target){
		"url": func(t *Target) { t.URL = "https://x/z" }, "auth": func(t *Target) { t.Auth.Password = "p" },
		"checkout": func(t *Target) { t.Checkout.Tag = "v1" }, "branch": func(t *Target) { t.Branch = "b" }, "base": func(t *Target) { t.Base = "b" },
		"refspec": func(t *Target) { t.Refspec = "main:x" }, "options": func(t *Target) { t.Options = map[string]string{"a": "b"} },
	}
	seen := map[string]string{base.Key(): "base"}
	for name, change := range other {
		changed := base
		change(&changed)
		if twin, twice := seen[changed.Key()]; twice {
			t.Errorf("%s has the key of %s", name, twin)
		}
		seen[changed.Key()] = name
	}
	same := base
	same.Lease = func(*git.Commit) error { return nil }
	if same.Key() != base.Key() {
		t.Error("a lease changes the key")
	}
}
