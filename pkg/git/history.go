// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// firstDepth is how many commits the first step of a history fetches, and
	// depthGrowth by how much each further step exceeds the one before.
	firstDepth  = 20
	depthGrowth = 5
	// maxBoundary bounds the commits that are looked at to tell the server what
	// is here. With more of them it is told less and sends more.
	maxBoundary = 20_000
)

// History calls visit for the target and the commits before it along first
// parents, the newest first, as long as visit wants more, and for at most limit
// commits. It fetches older commits in growing steps when it gets there, and
// ends without an error where history does. The commits are valid until it
// returns. Inside of the function that Read calls, use Ancestors.
func (s *Store) History(ctx context.Context, remote *Remote, t Target, limit int, visit func(*Commit) (more bool, err error)) error {
	return s.Read(ctx, remote, t, func(c *Commit) error { return s.Ancestors(ctx, remote, c, limit, visit) })
}

// Ancestors is History from a commit on that is read at the moment, which may be
// a draft.
func (s *Store) Ancestors(ctx context.Context, remote *Remote, c *Commit, limit int, visit func(*Commit) (more bool, err error)) error {
	h := &history{repo: s.acquire(remote.key), remote: remote, objects: c.objects, limits: s.limits, limit: limit}
	defer s.release(h.repo)
	for n := 0; c != nil && n < limit; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := visit(c)
		if err != nil || !more || len(c.Parents) == 0 || n+1 == limit {
			return err
		}
		if c, err = h.before(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// history is one walk along first parents.
type history struct {
	repo    *repo
	remote  *Remote
	objects *objects
	limits  Limits
	limit   int
	// anchor is the newest commit of the walk that the server knows, and passed
	// how many of its history were visited.
	anchor string
	passed int
	depth  int
}

// before returns the first parent of c, or nil where the server has no more.
func (h *history) before(ctx context.Context, c *Commit) (*Commit, error) {
	if h.anchor == "" && h.objects.drafts[plumbing.NewHash(c.Hash)] == nil {
		h.anchor = c.Hash
	}
	if h.anchor != "" {
		h.passed++
	}
	parent := plumbing.NewHash(c.Parents[0])
	for {
		there, err := h.objects.has(parent)
		if err != nil {
			return nil, err
		}
		if there {
			return h.objects.load(parent)
		}
		if h.depth > h.passed || h.anchor == "" {
			return nil, nil // The server's own history ends here.
		}
		h.depth = max(h.depth, firstDepth)
		for h.depth <= h.passed {
			h.depth *= depthGrowth
		}
		// What is visited already counts to the limit too.
		h.depth = max(min(h.depth, h.limit), h.passed+1)
		if err := h.deepen(ctx); err != nil {
			return nil, h.remote.wrap("unable to fetch the history of", err)
		}
	}
}

// deepen fetches the history of the anchor down to the depth. Which commits are
// here without their parents is not recorded anywhere but found by looking: it
// is true after any crash, and does not touch what the next fetch of a new
// commit tells the server.
func (h *history) deepen(ctx context.Context) error {
	// A program that serves a whole conversation remembers where the history of
	// a request was cut, so each one has its own.
	stateful := !h.remote.conn.again(false)
	if h.remote.info == nil || h.remote.spent || stateful {
		if err := h.remote.start(ctx, nil); err != nil {
			return err
		}
	}
	w := wish{want: []string{h.anchor}, full: true}
	if h.remote.info.shallow() {
		have, boundary, err := h.boundary(ctx)
		if err != nil {
			return err
		}
		w = wish{want: w.want, depth: h.depth, have: have, shallow: boundary}
	}
	defer func() { h.remote.spent = h.remote.spent || stateful }()
	err := h.remote.fetch(ctx, w, func(pack io.Reader) error { return h.repo.add(ctx, pack, h.limits, h.objects) })
	if err != nil {
		return err
	}
	h.objects.reindex()
	return nil
}

// boundary lists commits that are here, the anchor and those that were fetched
// last, and the commits below them of which a parent is not here. Both are empty
// if that is too much to tell.
func (h *history) boundary(ctx context.Context) (have, cut []string, err error) {
	var todo []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for _, hash := range append(h.repo.tips(), h.anchor) {
		root := plumbing.NewHash(hash)
		there, err := h.objects.has(root)
		if err != nil {
			return nil, nil, err
		}
		if there && !seen[root] {
			seen[root] = true
			todo = append(todo, root)
			have = append(have, hash)
		}
	}
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c, err := h.objects.commit(next)
		if err != nil {
			return nil, nil, err
		}
		missing := false
		for _, parent := range c.ParentHashes {
			there, err := h.objects.has(parent)
			if err != nil {
				return nil, nil, err
			}
			missing = missing || !there
			if there && !seen[parent] {
				seen[parent] = true
				todo = append(todo, parent)
			}
		}
		if missing {
			cut = append(cut, next.String())
		}
		if len(seen) > maxBoundary {
			return nil, nil, nil
		}
	}
	return have, cut, nil
}

// reindex makes objects that were added to the store visible.
func (o *objects) reindex() { o.store.Reindex() }

// add stores a pack beside those that are there. The caller holds a part of the
// lock: nothing is removed.
func (r *repo) add(ctx context.Context, pack io.Reader, limits Limits, store *objects) error {
	r.adding.Lock()
	defer r.adding.Unlock()
	if err := os.MkdirAll(r.packDir(), 0o700); err != nil {
		return fmt.Errorf("open the store of Git objects: %w", err)
	}
	defer r.measure()
	return receivePack(ctx, r.packDir(), pack, limits, func(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
		return store.any(plumbing.AnyObject, hash, limits.Object)
	})
}
