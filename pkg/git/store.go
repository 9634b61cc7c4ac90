// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Store keeps objects of remotes on disk, so that a new commit costs the
// transfer of what it changed. What one combination of URL and credentials
// fetched serves no other. The store may vanish or rot at any time: it then
// fetches again. It is safe for concurrent use.
type Store struct {
	root     string
	maxBytes int64
	limits   Limits
	now      func() time.Time

	mu    sync.Mutex
	repos map[string]*repo
}

// NewStore opens the store in the directory root, which it creates. It removes
// the repositories that were not used for the longest time once all together
// exceed maxBytes.
func NewStore(root string, maxBytes int64, limits Limits) (*Store, error) {
	s := &Store{root: root, maxBytes: maxBytes, limits: limits.withDefaults(), now: time.Now, repos: map[string]*repo{}}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("open the store of Git objects: %w", err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("open the store of Git objects: %w", err)
	}
	for _, entry := range entries {
		dir := filepath.Join(root, entry.Name())
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), trashPrefix) {
			if err := os.RemoveAll(dir); err != nil {
				return nil, fmt.Errorf("clean the store of Git objects: %w", err)
			}
			continue
		}
		r := newRepo(dir)
		r.sweep()
		r.measure()
		if info, err := entry.Info(); err == nil {
			r.used = info.ModTime()
		}
		s.repos[entry.Name()] = r
	}
	s.evict()
	return s, nil
}

const trashPrefix = "trash-"

// Resolve asks the remote which commit the reference stands for. It fetches
// only where two versions in a range differ in nothing but their build
// metadata: then the later commit wins. Errors are an ErrAuthentication,
// ErrNotFound, ErrEmpty or ErrReference where they are one.
func (s *Store) Resolve(ctx context.Context, remote *Remote, reference Reference) (Target, error) {
	targets, err := remote.lookup(ctx, reference)
	if err != nil {
		return Target{}, err
	}
	best := targets[0]
	if len(targets) == 1 {
		return best, nil
	}
	var latest time.Time
	for _, t := range targets {
		err := s.Read(ctx, remote, t, func(c *Commit) error {
			if c.Committer.When.After(latest) {
				best, latest = t, c.Committer.When
			}
			return nil
		})
		if err != nil {
			return Target{}, err
		}
	}
	return best, nil
}

// Read calls use with the commit, after fetching what is missing of it. Where
// objects on disk turn out damaged it fetches them anew and calls use a second
// time.
func (s *Store) Read(ctx context.Context, remote *Remote, t Target, use func(*Commit) error) error {
	r := s.acquire(remote.key)
	defer s.release(r)
	for attempt := 0; ; attempt++ {
		if err := r.ensure(ctx, remote, t, s.limits); err != nil {
			return remote.wrap("unable to clone", err)
		}
		err := r.read(ctx, t, use)
		if !errors.Is(err, ErrCorrupt) || attempt > 0 {
			return err
		}
		if err := r.wipe(ctx); err != nil {
			return err
		}
	}
}

// acquire returns the repository for key and keeps it from being evicted.
func (s *Store) acquire(key string) *repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[key]
	if !ok {
		r = newRepo(filepath.Join(s.root, key))
		s.repos[key] = r
	}
	r.users++
	return r
}

// release ends the use of a repository and makes room.
func (s *Store) release(r *repo) {
	s.mu.Lock()
	r.users--
	used := s.now()
	r.used = used
	s.mu.Unlock()
	_ = os.Chtimes(r.dir, used, used) // The order of use outlives a restart.
	s.evict()
}

// evict removes repositories nobody uses, the longest unused first, until the
// rest fits.
func (s *Store) evict() {
	s.mu.Lock()
	var trash []string
	var total int64
	keys := make([]string, 0, len(s.repos))
	for key, r := range s.repos {
		total += r.bytes.Load()
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return s.repos[a].used.Compare(s.repos[b].used) })
	for _, key := range keys {
		if total <= s.maxBytes {
			break
		}
		r := s.repos[key]
		if r.users > 0 {
			continue
		}
		// Renamed under the lock, removed outside of it: a new user of the
		// same key starts with an empty directory at once.
		moved, err := os.MkdirTemp(s.root, trashPrefix)
		if err != nil {
			continue
		}
		trash = append(trash, moved)
		if err := os.Rename(r.dir, filepath.Join(moved, key)); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= r.bytes.Load()
			delete(s.repos, key)
		}
	}
	s.mu.Unlock()
	for _, dir := range trash {
		_ = os.RemoveAll(dir) // What stays is removed at the next start.
	}
}

// readers is how many may read a repository at a time; a writer takes all.
const readers = 1 << 20

func newRepo(dir string) *repo {
	return &repo{dir: dir, lock: semaphore.NewWeighted(readers)}
}
