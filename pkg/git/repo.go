// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sync/semaphore"
)

const (
	// maxPacks is how many packs a repository may have before the next fetch
	// starts over: each fetch adds one, and each object is looked for in all.
	maxPacks = 50
	// maxTips is how many commits a fetch tells the server it has.
	maxTips  = 8
	tipsFile = "tips"
)

// repo is the part of a Store that belongs to one remote.
type repo struct {
	dir   string
	bytes atomic.Int64
	// lock is taken whole to write, and in ones to read.
	lock *semaphore.Weighted
	// adding is held by who writes with a part of the lock only: objects may
	// be added beside readers.
	adding sync.Mutex

	// The Store's mutex guards these.
	users int
	used  time.Time
}

func (r *repo) packDir() string { return filepath.Join(r.dir, "objects", "pack") }

// sweep removes what a killed process left half written.
func (r *repo) sweep() {
	for _, pattern := range [...]string{filepath.Join(r.packDir(), "tmp-*"), filepath.Join(r.dir, "tmp-*")} {
		matches, _ := filepath.Glob(pattern)
		for _, name := range matches {
			_ = os.Remove(name)
		}
	}
}

// measure sums up the size on disk.
func (r *repo) measure() {
	var total int64
	_ = filepath.WalkDir(r.dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil // What vanishes meanwhile takes no room.
	})
	r.bytes.Store(total)
}

// wipe removes everything.
func (r *repo) wipe(ctx context.Context) error {
	if err := r.lock.Acquire(ctx, readers); err != nil {
		return err
	}
	defer r.lock.Release(readers)
	return r.clear()
}

func (r *repo) clear() error {
	r.bytes.Store(0)
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("empty the store of Git objects: %w", err)
	}
	return nil
}

// read calls use with a commit that is there.
func (r *repo) read(ctx context.Context, t Target, use func(*Commit) error) error {
	if err := r.lock.Acquire(ctx, 1); err != nil {
		return err
	}
	defer r.lock.Release(1)
	store := openObjects(r.dir)
	defer store.close()
	c, err := store.load(plumbing.NewHash(t.Hash))
	if err != nil {
		return err
	}
	return use(c)
}

// ensure fetches the commit unless it is there.
func (r *repo) ensure(ctx context.Context, remote *Remote, t Target, limits Limits) error {
	if there, err := r.shared(ctx, t); there && err == nil {
		return nil
	}
	if err := r.lock.Acquire(ctx, readers); err != nil {
		return err
	}
	defer r.lock.Release(readers)
	// Another reconcile may have fetched it while this one waited.
	there, tips, err := r.inspect(t)
	if err != nil {
		if err := r.clear(); err != nil {
			return err
		}
	}
	if there {
		return nil
	}
	defer r.measure()
	err = r.fetch(ctx, remote, t, tips, limits)
	if errors.Is(err, ErrCorrupt) && len(tips) > 0 {
		// Perhaps what was here before is what is damaged.
		if err := r.clear(); err != nil {
			return err
		}
		return r.fetch(ctx, remote, t, nil, limits)
	}
	return err
}

func (r *repo) shared(ctx context.Context, t Target) (bool, error) {
	if err := r.lock.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer r.lock.Release(1)
	there, _, err := r.inspect(t)
	return there, err
}

// inspect reports whether the commit is there, and which other commits are.
func (r *repo) inspect(t Target) (there bool, tips []string, err error) {
	store := openObjects(r.dir)
	defer store.close()
	if there, err = store.has(plumbing.NewHash(t.Hash)); there || err != nil {
		return there, nil, err
	}
	for _, tip := range r.tips() {
		found, err := store.has(plumbing.NewHash(tip))
		if err != nil {
			return false, nil, err
		}
		if found {
			tips = append(tips, tip)
		}
	}
	return false, tips, nil
}

// tips returns the commits that were fetched without their parents, the
// latest last.
func (r *repo) tips() []string {
	data, err := os.ReadFile(filepath.Join(r.dir, tipsFile))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(strings.Fields(string(data)), func(s string) bool { return !validHash(s) })
}

// fetch gets the commit from the remote.
func (r *repo) fetch(ctx context.Context, remote *Remote, t Target, tips []string, limits Limits) error {
	if err := os.MkdirAll(r.packDir(), 0o700); err != nil {
		return fmt.Errorf("open the store of Git objects: %w", err)
	}
	old, err := r.packs()
	if err != nil {
		return err
	}
	if len(old) < maxPacks {
		old = nil
	} else {
		tips = nil
	}
	w := wish{want: []string{t.Hash}, have: tips, shallow: tips}
	if w, err = remote.adapt(ctx, t, w); err != nil {
		return err
	}
	store := openObjects(r.dir)
	defer store.close()
	bases := func(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
		return store.any(plumbing.AnyObject, hash, limits.Object)
	}
	err = remote.fetch(ctx, w, func(pack io.Reader) error { return receivePack(ctx, r.packDir(), pack, limits, bases) })
	if err != nil {
		return err
	}
	there, _, err := r.inspect(t)
	switch {
	case err != nil:
		return err
	case !there:
		return failf(ErrReference, "the server does not have the wanted commit")
	}
	if err := r.retire(old); err != nil || !slices.Contains(w.want, t.Hash) {
		return err
	}
	return r.setTips(append(tips, t.Hash))
}

// setTips records the commits for tips.
func (r *repo) setTips(tips []string) error {
	tips = tips[max(0, len(tips)-maxTips):]
	if err := writeAtomically(filepath.Join(r.dir, tipsFile), []byte(strings.Join(tips, "\n")+"\n")); err != nil {
		return fmt.Errorf("open the store of Git objects: %w", err)
	}
	return nil
}

// packs lists the packs without their extensions.
func (r *repo) packs() ([]string, error) {
	matches, err := filepath.Glob(filepath.Join(r.packDir(), "pack-*.pack"))
	if err != nil {
		return nil, fmt.Errorf("list the packs: %w", err)
	}
	for i := range matches {
		matches[i] = strings.TrimSuffix(matches[i], ".pack")
	}
	return matches, nil
}

// retire deletes the packs from before a fetch that told the server of none of
// them. Where that fetch brought a pack that was there already, all stay.
func (r *repo) retire(old []string) error {
	packs, err := r.packs()
	if err != nil || len(packs) == len(old) {
		return err
	}
	for _, name := range old {
		// Readers start from packs.
		_ = os.Remove(name + ".pack")
		_ = os.Remove(name + ".idx")
	}
	return nil
}

// adapt changes the wish for what the server cannot do: some send nothing
// without its history, and some give out only what a reference points to, so
// that any other commit has to come with the whole history around it.
func (r *Remote) adapt(ctx context.Context, t Target, w wish) (wish, error) {
	if r.info == nil {
		if err := r.start(ctx, nil); err != nil {
			return w, err
		}
	}
	if !r.info.shallow() {
		w.full, w.shallow = true, nil
	}
	if !t.pinned || r.canWant() {
		return w, nil
	}
	if t.branch != "" {
		return wish{want: []string{t.branch}, full: true}, nil
	}
	refs, err := r.list(ctx, branchPrefix, tagPrefix)
	if err != nil {
		return w, err
	}
	w = wish{full: true}
	for _, found := range refs {
		w.want = append(w.want, found.hash)
	}
	slices.Sort(w.want)
	w.want = slices.Compact(w.want)
	return w, nil
}
