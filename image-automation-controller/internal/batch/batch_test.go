// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// world is a server with one repository, and a Batcher that runs.
type world struct {
	*Batcher
	t      *testing.T
	server *testkit.GitServer
	repo   *testkit.GitRepo
	woken  chan types.NamespacedName
	stop   func()
	// dir is where the Batcher keeps objects.
	dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	server, err := testkit.NewGitServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w := &world{t: t, server: server, repo: repo}
	files := map[string]string{}
	for i := range 100 {
		files[file(i)] = "v0"
	}
	w.commit("main", files)
	w.start()
	return w
}

// start starts another Batcher, with a store of its own.
func (w *world) start() {
	w.t.Helper()
	w.dir = w.t.TempDir()
	store, err := git.NewStore(w.dir, 1<<30, git.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.woken = make(chan types.NamespacedName, 1000)
	woken := w.woken
	w.Batcher = New(store, dial.New(dial.Policy{AllowLocal: true}), git.Algorithms{}, func(o types.NamespacedName) { woken <- o }, logr.Discard())
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	b := w.Batcher
	go func() {
		defer close(ended)
		if err := b.Start(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			w.t.Error("Start did not return")
		}
	})
	w.t.Cleanup(w.stop)
}

func file(i int) string { return fmt.Sprintf("apps/%02d/values.yaml", i) }

func owner(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: "team", Name: fmt.Sprintf("bot-%02d", i)}
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	return w.gitWith(w.t.Context(), args...)
}

func (w *world) gitWith(ctx context.Context, args ...string) string {
	w.t.Helper()
	out, err := w.repo.Git(ctx, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) commit(branch string, files map[string]string) string {
	w.t.Helper()
	return w.commitWith(w.t.Context(), branch, files)
}

func (w *world) commitWith(ctx context.Context, branch string, files map[string]string) string {
	w.t.Helper()
	hash, err := w.repo.Commit(ctx, testkit.GitCommit{Branch: branch, Author: "Person <p@example.com>", Files: testkit.Files(files)})
	if err != nil {
		w.t.Fatal(err)
	}
	return hash
}

func (w *world) target() Target {
	return Target{URL: w.server.URL + "/repo.git", Checkout: git.Reference{Branch: "main"}, Branch: "main", Base: "main"}
}

// bump returns a job that writes its file, if it does not hold the text yet.
func (w *world) bump(i int, text string) Job {
	return Job{Owner: owner(i), Target: w.target(), Timeout: 20 * time.Second, Plan: bump(i, text)}
}

func bump(i int, text string) func(context.Context, Tip) (*git.Draft, error) {
	return func(_ context.Context, tip Tip) (*git.Draft, error) {
		e, err := tip.Commit.File(file(i))
		if err != nil {
			return nil, err
		}
		_, r, err := e.Open()
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Close() }()
		held := make([]byte, 100)
		n, _ := r.Read(held)
		if string(held[:n]) == text {
			return nil, nil
		}
		who := git.Signature{Name: owner(i).Name, Email: "bot@example.com"}
		return &git.Draft{Author: who, Message: text, Files: map[string][]byte{file(i): []byte(text)}}, nil
	}
}

// outcomes waits for n of them.
func (w *world) outcomes(n int) map[string]Outcome {
	w.t.Helper()
	got := map[string]Outcome{}
	deadline := time.After(60 * time.Second)
	for len(got) < n {
		select {
		case who := <-w.woken:
			o, found := w.Take(who)
			if _, twice := got[who.Name]; twice || !found {
				w.t.Fatalf("%s: outcome %v", who, o)
			}
			got[who.Name] = o
		case <-deadline:
			w.t.Fatalf("%d outcomes, want %d", len(got), n)
		}
	}
	return got
}

// one runs one job.
func (w *world) one(j Job) Outcome {
	w.t.Helper()
	w.Submit(j)
	return w.outcomes(1)[j.Owner.Name]
}

// clean checks what the server has, and that nothing runs on.
func (w *world) clean() {
	w.t.Helper()
	w.git("fsck", "--full", "--strict", "--no-dangling")
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.queues) + len(w.waiting) + len(w.active) + len(w.slots.hosts); n > 0 {
		w.t.Errorf("%d entries are left behind", n)
	}
}

// TestMain looks for goroutines that outlive the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	deadline := time.Now().Add(10 * time.Second)
	for {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "batch.(*Batcher)") {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "goroutines are left:", stacks)
			code = 1
			break
		}
		runtime.Gosched()
	}
	os.Exit(code)
}

func TestManyJobsOnePush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Submit(w.bump(0, "first"))
	w.outcomes(1)
	begun, before := time.Now(), w.server.Stats()
	w.commit("main", map[string]string{"other": "1"})
	for i := 89; i >= 0; i-- {
		w.Submit(w.bump(i, "v1"))
	}
	got := w.outcomes(90)
	took := time.Since(begun)
	after := w.server.Stats()
	if fetches, pushes := after.Fetches-before.Fetches, after.Pushes-before.Pushes; fetches != 1 || pushes != 1 {
		t.Errorf("%d fetches and %d pushes, want one of each", fetches, pushes)
	}
	t.Logf("90 jobs in %s, %d requests, %d bytes sent", took, after.Requests-before.Requests, after.PushedBytes-before.PushedBytes)
	var want []string
	for i := range 90 {
		o := got[owner(i).Name]
		if o.Err != nil || o.Commit == "" || o.Head != w.git("rev-parse", "main") {
			t.Fatalf("%d: %+v", i, o)
		}
		want = append(want, o.Commit+" "+owner(i).Name)
		if parent := "main@sha1:" + w.git("rev-parse", o.Commit+"^"); o.Revision != parent {
			t.Errorf("%d: revision %s, want %s", i, o.Revision, parent)
		}
	}
	if diff := cmp.Diff(want, strings.Split(w.git("log", "--reverse", "--max-count=90", "--format=%H %an", "main"), "\n")); diff != "" {
		t.Error(diff)
	}
	// Nothing to do: no commit, no push, no fetch.
	o := w.one(w.bump(3, "v1"))
	if o.Err != nil || o.Commit != "" || o.Revision != "main@sha1:"+o.Head || o.Head != w.git("rev-parse", "main") {
		t.Errorf("outcome %+v", o)
	}
	if last := w.server.Stats(); last.Pushes != after.Pushes || last.Fetches != after.Fetches {
		t.Error("it was fetched or pushed for nothing")
	}
	w.clean()
}

func TestOnePlanFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failure := errors.New("no")
	bad := w.bump(1, "")
	bad.Plan = func(context.Context, Tip) (*git.Draft, error) { return nil, failure }
	worse := w.bump(2, "")
	worse.Plan = func(context.Context, Tip) (*git.Draft, error) { return nothing().Draft, nil }
	hangs := w.bump(3, "")
	hangs.Timeout = 200 * time.Millisecond
	hangs.Plan = func(ctx context.Context, _ Tip) (*git.Draft, error) { <-ctx.Done(); return nil, ctx.Err() }
	missing := w.bump(4, "")
	missing.Plan = func(context.Context, Tip) (*git.Draft, error) {
		return &git.Draft{Files: map[string][]byte{"missing": nil}}, nil
	}
	unsigned := w.bump(5, "")
	unsigned.Plan = func(context.Context, Tip) (*git.Draft, error) {
		return &git.Draft{Files: map[string][]byte{file(5): []byte("x")}, Sign: func([]byte) (string, error) { return "", failure }}, nil
	}
	for _, j := range []Job{w.bump(0, "v1"), bad, worse, hangs, missing, unsigned, w.bump(6, "v1")} {
		w.Submit(j)
	}
	got := w.outcomes(7)
	for i, want := range map[int]error{1: failure, 3: context.DeadlineExceeded, 4: git.ErrPath, 5: failure} {
		if o := got[owner(i).Name]; !errors.Is(o.Err, want) || o.Commit != "" {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if o := got[owner(2).Name]; o.Err == nil {
		t.Error("a panic passed")
	}
	if log := w.git("log", "--format=%an", "--max-count=3", "main"); log != "bot-06\nbot-00\nPerson" {
		t.Errorf("log %q", log)
	}
	w.clean()
}

// nothing returns a nil pointer, for a plan that has a bug.
func nothing() *struct{ Draft *git.Draft } { return nil }

func TestSomebodyElsePushesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var once, again sync.Once
	j := w.bump(0, "v1")
	plan := j.Plan
	j.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
		once.Do(func() { w.commitWith(ctx, "main", map[string]string{"x": "1", file(1): "v1"}) })
		return plan(ctx, tip)
	}
	// The second round meets somebody who rewrites the branch.
	k := w.bump(1, "v1")
	second := k.Plan
	rounds := 0
	k.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
		if rounds++; rounds == 2 {
			again.Do(func() {
				w.gitWith(ctx, "update-ref", "refs/heads/main", "main^")
				w.commitWith(ctx, "main", map[string]string{"y": "1"})
			})
		}
		return second(ctx, tip)
	}
	w.Submit(j)
	w.Submit(k)
	got := w.outcomes(2)
	for name, o := range got {
		if o.Err != nil || o.Commit == "" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if log := w.git("log", "--format=%an %s", "main"); log != "bot-01 v1\nbot-00 v1\nPerson update\nPerson update" || rounds != 3 {
		t.Errorf("%d rounds, log %q", rounds, log)
	}
	w.clean()
}

// TestTwoBatchers: two writers, each with jobs of its own and some of both.
func TestTwoBatchers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := &world{t: t, server: w.server, repo: w.repo}
	v.start()
	for i := range 20 {
		if i < 12 {
			w.Submit(w.bump(i, "v1"))
		}
		if i >= 8 {
			v.Submit(v.bump(i, "v1"))
		}
	}
	one, two := w.outcomes(12), v.outcomes(12)
	for i := range 20 {
		commits := 0
		for _, o := range []Outcome{one[owner(i).Name], two[owner(i).Name]} {
			if o.Err != nil {
				t.Errorf("%d: %+v", i, o)
			}
			if o.Commit != "" {
				commits++
			}
		}
		if commits != 1 {
			t.Errorf("%d: %d commits, want one", i, commits)
		}
		if got := w.git("show", "main:"+file(i)); got != "v1" {
			t.Errorf("%d: file holds %q", i, got)
		}
	}
	if n := w.git("rev-list", "--count", "main"); n != "21" {
		t.Errorf("%s commits, want 21", n)
	}
	v.clean()
	w.clean()
}

func TestBranchIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("other", map[string]string{"x": "1"})
	if o := w.one(w.bump(0, "v1")); o.Err != nil {
		t.Fatal(o.Err)
	}
	j := w.bump(1, "v1")
	plan := j.Plan
	j.Plan = func(ctx context.Context, tip Tip) (*git.Draft, error) {
		w.gitWith(ctx, "update-ref", "-d", "refs/heads/main")
		return plan(ctx, tip)
	}
	if o := w.one(j); !errors.Is(o.Err, git.ErrReference) {
		t.Errorf("outcome %+v, want ErrReference", o)
	}
	if heads := w.git("for-each-ref", "--format=%(refname)"); heads != "refs/heads/other" {
		t.Errorf("branches %q", heads)
	}
	w.clean()
}

func TestPushOptionsAndRefspec(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.bump(0, "v1")
	j.Target.Options = map[string]string{"merge_request.title": "a b", "ci.skip": ""}
	if o := w.one(j); !errors.Is(o.Err, git.ErrPushOptions) {
		t.Errorf("outcome %+v, want ErrPushOptions", o)
	}
	w.git("config", "receive.advertisePushOptions", "true")
	out := filepath.Join(t.TempDir(), "options")
	if err := w.repo.Hook("pre-receive", `echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" >`+out); err != nil {
		t.Fatal(err)
	}
	j.Target.Refspec = "refs/heads/main:refs/for/main"
	if o := w.one(j); o.Err != nil {
		t.Fatal(o.Err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != "2 ci.skip merge_request.title=a b\n" {
		t.Errorf("options %q, error %v", got, err)
	}
	j.Plan = bump(0, "v2")
	o := w.one(j)
	if o.Err != nil || w.git("rev-parse", "refs/for/main") != o.Commit || w.git("rev-parse", "main") != o.Commit {
		t.Errorf("outcome %+v", o)
	}
	// It does not force, and its source is what is pushed.
	w.git("update-ref", "refs/for/main", w.commit("other", map[string]string{"x": "1"}))
	before := w.git("rev-parse", "main")
	for _, refspec := range []string{"refs/heads/main:refs/for/main", "refs/heads/other:refs/for/main", "main:refs/heads/*"} {
		j.Target.Refspec, j.Plan = refspec, bump(0, "v3")
		if o := w.one(j); o.Err == nil || o.Commit != "" {
			t.Errorf("%s: outcome %+v", refspec, o)
		}
	}
	if w.git("rev-parse", "main") != before {
		t.Error("main was pushed without the reference of the refspec")
	}
	w.clean()
}
