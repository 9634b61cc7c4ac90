// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/weir-gitops/weir/pkg/git"
)

const (
	// maxAttempts is how often a batch begins anew because others push too.
	maxAttempts = 10
	// minWait and maxWait bound the wait before that. It grows, and is random,
	// so that two writers do not meet again.
	minWait = 50 * time.Millisecond
	maxWait = 5 * time.Second
)

// run is one batch.
type run struct {
	store  *git.Store
	remote *git.Remote
	target Target
	limit  time.Duration
	log    logr.Logger
	// landed is what this run pushed last.
	landed   string
	outcomes map[*task]Outcome
}

// run does all that the tasks want, and delivers an outcome for each unless ctx
// ends, with the process, before.
func (b *Batcher) run(ctx context.Context, tasks []*task) {
	r := &run{store: b.store, target: tasks[0].job.Target, log: b.log}
	for _, t := range tasks {
		r.limit = max(r.limit, t.job.Timeout)
	}
	process := ctx
	deliver := func(tasks []*task, err error) {
		for _, t := range tasks {
			o := r.outcomes[t]
			if o.Err == nil {
				o.Err = err
			}
			if process.Err() == nil {
				b.deliver(t, o)
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, t := range tasks {
		// The run ends with the last job that is wanted, delivered or not.
		context.AfterFunc(t.wanted, func() { //nolint:contextcheck // A job is wanted by its owner, not by this run.
			if !slices.ContainsFunc(tasks, func(other *task) bool { return !other.dropped() }) {
				cancel()
			}
		})
	}
	var err error
	if r.remote, err = git.NewRemote(r.target.URL, r.target.Auth, b.dialer, b.algorithms); err != nil {
		deliver(tasks, err)
		return
	}
	defer r.remote.Close()
	err = r.try(ctx, tasks)
	if len(tasks) == 1 || !errors.Is(err, git.ErrDeclined) || errors.Is(err, git.ErrProtected) {
		deliver(tasks, err)
		return
	}
	r.log.Info("The server declined a push of several commits, each goes alone now", "branch", r.target.Branch, "jobs", len(tasks))
	for i := range tasks {
		alone := tasks[i : i+1]
		err := r.try(ctx, alone)
		deliver(alone, err)
		if err != nil && !errors.Is(err, git.ErrDeclined) {
			// The server is in trouble: the others need not find out one by one.
			r.outcomes = nil
			deliver(tasks[i+1:], err)
			return
		}
	}
}

// ErrPush is the class of outcomes whose push failed, for whatever reason.
var ErrPush = errors.New("push failed")

// pushError is a failure that package git says all about.
type pushError struct{ err error }

func (e *pushError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *pushError) Unwrap() error { return e.err }

// Is makes it an ErrPush.
func (e *pushError) Is(target error) bool { return target == ErrPush }

// errCancelled: a commit of a cancelled job is among those to be pushed.
var errCancelled = errors.New("a job was cancelled")

// try makes rounds until nobody is in the way.
func (r *run) try(ctx context.Context, tasks []*task) error {
	for attempt := 0; ; {
		err := r.round(ctx, slices.DeleteFunc(slices.Clone(tasks), (*task).dropped))
		switch {
		case errors.Is(err, errCancelled):
			continue
		case !errors.Is(err, git.ErrNonFastForward):
			return err
		}
		if attempt++; attempt == maxAttempts {
			return fmt.Errorf("gave up after %d attempts: %w", maxAttempts, err)
		}
		longest := min(minWait<<attempt, maxWait)
		if err := sleep(ctx, minWait+rand.N(longest)); err != nil { //#nosec G404 -- no secret
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// round looks, plans and pushes once. An error is that of all tasks.
func (r *run) round(ctx context.Context, tasks []*task) error {
	r.outcomes = map[*task]Outcome{}
	if len(tasks) == 0 {
		return nil
	}
	var p place
	err := r.within(ctx, 1, func(ctx context.Context) (err error) {
		if p, err = r.look(ctx); err != nil {
			return err
		}
		tasks, err = r.lease(ctx, &p, tasks)
		if err != nil || len(tasks) == 0 {
			return err
		}
		// Fetched here, so that plans have their own time.
		return r.store.Read(ctx, r.remote, p.start, func(*git.Commit) error { return nil })
	})
	if err != nil || len(tasks) == 0 {
		return err
	}
	return r.within(ctx, len(tasks)+2, func(ctx context.Context) error {
		return r.store.Read(ctx, r.remote, p.start, func(c *git.Commit) error { return r.write(ctx, &p, c, tasks) })
	})
}

// within bounds what f takes to n times the limit.
func (r *run) within(ctx context.Context, n int, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*r.limit)
	defer cancel()
	return f(ctx)
}

// write plans on top of c, one task after the other, and pushes what comes out.
func (r *run) write(ctx context.Context, p *place, c *git.Commit, tasks []*task) error {
	tip, drafts := c, map[*task]*git.Commit{}
	var list []*git.Commit
	for _, t := range tasks {
		o := Outcome{Revision: strings.ReplaceAll(p.start.Revision, p.start.Hash, tip.Hash)}
		next, err := r.plan(ctx, t, Tip{Commit: tip, Revision: o.Revision})
		switch {
		case errors.Is(err, git.ErrCorrupt): // The store is fetched anew.
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			o.Err = err
		case next != nil && next.Tree() != tip.Tree():
			tip, drafts[t] = next, next
			list = append(list, next)
		}
		r.outcomes[t] = o
	}
	head := tip.Hash
	var existing []string
	switch {
	case len(list) == 0:
		if r.target.Branch != r.target.Base {
			head = p.old
		}
	default:
		if existing = p.same(list); existing != nil {
			head = p.old
			break
		}
		if err := r.push(ctx, p, c, tip, drafts); err != nil {
			return err
		}
	}
	for _, t := range tasks {
		o := r.outcomes[t]
		o.Head = head
		if d := drafts[t]; d != nil {
			o.Commit = d.Hash
			if existing != nil {
				o.Commit = existing[slices.Index(list, d)]
			}
		}
		r.outcomes[t] = o
	}
	return nil
}

// plan has one task make its commit; nil if it wants none.
func (r *run) plan(ctx context.Context, t *task, tip Tip) (next *git.Commit, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.job.Timeout)
	defer cancel()
	stop := context.AfterFunc(t.wanted, cancel) //nolint:contextcheck // The plan ends with the first of the two.
	defer stop()
	defer func() {
		// One automation must not take the others down.
		if reason := recover(); reason != nil {
			r.log.Error(nil, "A plan panicked", "owner", t.job.Owner, "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			next, err = nil, errors.New("the plan failed for an internal reason, which the log of the controller has")
		}
	}()
	tip.History = func(limit int, visit func(*git.Commit) (bool, error)) error {
		return r.store.Ancestors(ctx, r.remote, tip.Commit, limit, visit)
	}
	draft, err := t.job.Plan(ctx, tip)
	if err != nil || draft == nil {
		return nil, err
	}
	return tip.Commit.Draft(*draft)
}

// push pushes the drafts, of which tip is the last and c what is below them.
func (r *run) push(ctx context.Context, p *place, c, tip *git.Commit, drafts map[*task]*git.Commit) error {
	for t := range drafts {
		if t.dropped() {
			return errCancelled
		}
	}
	updates := []git.Update{{Ref: branchPrefix + r.target.Branch, Old: p.old, New: tip}}
	if p.also != "" {
		if err := r.follows(ctx, p, c); err != nil {
			return err
		}
		updates = append(updates, git.Update{Ref: p.also, Old: p.alsoOld, New: tip})
	}
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	if err := r.store.Push(ctx, r.remote, git.Push{Updates: updates, Options: options(r.target.Options)}); err != nil {
		return &pushError{err}
	}
	r.landed = tip.Hash
	r.log.Info("Pushed commits", "branch", r.target.Branch, "commits", len(drafts), "head", tip.Hash)
	return nil
}
