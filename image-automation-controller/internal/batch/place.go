// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"context"
	"fmt"
	"strings"

	"github.com/weir-gitops/weir/pkg/git"
)

const (
	branchPrefix = "refs/heads/"
	// maxBehind is how many commits the destination of a refspec, or the place
	// where a branch begins, may be behind.
	maxBehind = 1000
)

// place is what a round found on the server.
type place struct {
	// start is what plans are made on, and old what the branch must still be
	// when it is pushed to; "" if it must not exist.
	start git.Target
	old   string
	// there are the commits of the branch above start, the newest first, where
	// it is replaced. Nil if they do not lead to start.
	there []*fact
	// also is the reference of the refspec, if any.
	also, alsoOld string
}

// fact is what makes one commit another one than the next.
type fact struct {
	hash, tree, message, name, email string
}

func newFact(c *git.Commit) *fact {
	return &fact{hash: c.Hash, tree: c.Tree(), message: c.Message, name: c.Author.Name, email: c.Author.Email}
}

// look asks the server where things are.
func (r *run) look(ctx context.Context) (p place, err error) {
	t := r.target
	if p.also, err = parseRefspec(t.Refspec, t.Branch); err != nil {
		return p, err
	}
	if p.start, err = r.store.Resolve(ctx, r.remote, t.Checkout); err != nil {
		return p, err
	}
	p.old = p.start.Hash
	var names []string
	if t.Branch != t.Base {
		names = append(names, branchPrefix+t.Branch)
	}
	if p.also != "" {
		names = append(names, p.also)
	}
	if len(names) == 0 {
		return p, nil
	}
	at, err := r.store.Refs(ctx, r.remote, names...)
	if err != nil {
		return p, err
	}
	p.alsoOld = at[p.also]
	if t.Branch == t.Base {
		return p, nil
	}
	p.old = at[branchPrefix+t.Branch]
	if r.landed != "" && r.landed == p.old {
		// Commits that go one by one stand on each other, and not each in the
		// place of the one before.
		p.start = git.Target{Hash: r.landed, Revision: t.Branch + "@sha1:" + r.landed}
	}
	return p, nil
}

// lease asks each task whether what is on the branch may be replaced, and
// returns those that agree: with every commit of it that the base does not have.
func (r *run) lease(ctx context.Context, p *place, tasks []*task) ([]*task, error) {
	if r.target.Branch == r.target.Base || p.old == "" || p.old == p.start.Hash {
		return tasks, nil
	}
	doubts, err := r.doubts(ctx, p, tasks)
	if err != nil || len(doubts) == 0 {
		return tasks, err
	}
	open := map[string]bool{}
	for _, d := range doubts {
		open[d.hash] = true
	}
	// Where the branch begins, or has been merged, the base has the commit.
	err = r.store.History(ctx, r.remote, p.start, maxBehind, func(c *git.Commit) (bool, error) {
		delete(open, c.Hash)
		for _, parent := range c.Parents {
			delete(open, parent)
		}
		return len(open) > 0, nil
	})
	var agree []*task
	for _, t := range tasks {
		if d, found := doubts[t]; found && open[d.hash] {
			r.outcomes[t] = Outcome{Revision: p.start.Revision, Head: p.old, Err: d.err}
			continue
		}
		agree = append(agree, t)
	}
	return agree, err
}

// doubt is the newest commit of a branch that a task does not want to replace.
type doubt struct {
	hash string
	err  error
}

// doubts goes through the commits of the branch from the newest down until each
// task has one that it does not want to replace, and notes what is there.
func (r *run) doubts(ctx context.Context, p *place, tasks []*task) (map[*task]doubt, error) {
	var doubts map[*task]doubt
	var there []*fact
	head := git.Target{Hash: p.old, Revision: r.target.Branch + "@sha1:" + p.old}
	err := r.store.History(ctx, r.remote, head, maxBehind, func(c *git.Commit) (bool, error) {
		if c.Hash == p.old { // The first, perhaps a second time after damage on disk.
			there, doubts = nil, map[*task]doubt{}
		}
		if c.Hash == p.start.Hash {
			p.there = there
			return false, nil
		}
		// One more than there can be shows that there are others.
		more := len(there) <= len(tasks)
		if more {
			there = append(there, newFact(c))
		}
		for _, t := range tasks {
			if _, found := doubts[t]; found || t.job.Target.Lease == nil {
				continue
			}
			if err := t.job.Target.Lease(c); err != nil {
				doubts[t] = doubt{hash: c.Hash, err: err}
				continue
			}
			more = true
		}
		return more, nil
	})
	return doubts, err
}

// same returns the hashes of the commits on the branch, the oldest first, if
// they are what the drafts would be but for the time.
func (p *place) same(drafts []*git.Commit) []string {
	if len(p.there) != len(drafts) {
		return nil
	}
	hashes := make([]string, len(drafts))
	for i, d := range drafts {
		have, want := *p.there[len(drafts)-1-i], *newFact(d)
		hashes[i], have.hash, want.hash = have.hash, "", ""
		if have != want {
			return nil
		}
	}
	return hashes
}

// parseRefspec returns the destination of a refspec whose source is the branch
// that is pushed to; "" if it needs no push of its own.
func parseRefspec(refspec, branch string) (string, error) {
	if refspec == "" {
		return "", nil
	}
	from, to, found := strings.Cut(refspec, ":")
	if !found {
		to = from
	}
	if from != branch && from != branchPrefix+branch && from != "HEAD" {
		return "", fmt.Errorf("the source of the refspec '%s' has to be the branch that is pushed to, %s%s", refspec, branchPrefix, branch)
	}
	if !strings.HasPrefix(to, "refs/") {
		to = branchPrefix + to
	}
	if strings.ContainsAny(to, "*+:") {
		return "", fmt.Errorf("the destination of the refspec '%s' has to be one full name of a reference", refspec)
	}
	if to == branchPrefix+branch {
		return "", nil
	}
	return to, nil
}

// follows makes sure that pushing to the destination of the refspec loses
// nothing that is there. What is below the drafts, c, has to hold it.
func (r *run) follows(ctx context.Context, p *place, c *git.Commit) error {
	if p.alsoOld == "" || p.alsoOld == c.Hash {
		return nil
	}
	held := false
	err := r.store.Ancestors(ctx, r.remote, c, maxBehind, func(older *git.Commit) (bool, error) {
		held = older.Hash == p.alsoOld
		return !held, nil
	})
	if err == nil && !held {
		return fmt.Errorf("'%s', where the refspec leads, is not among the last %d commits of '%s': it would be forced", p.also, maxBehind, r.target.Branch)
	}
	return err
}
