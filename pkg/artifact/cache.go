// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/types"
)

// Cache unpacks artifacts and shares the result. What it keeps is bounded in
// bytes, read-only, and can be lost at any time.
//
// A source gets an unpacked artifact only if the same source object, told by
// its UID, has itself downloaded the artifact: a digest alone, which may be
// known to others, opens nothing.
type Cache struct {
	dir     string
	maxSize int64
	fetcher *Fetcher
	flights singleflight.Group

	mu    sync.Mutex
	trees map[string]*tree
	used  *list.List // of *tree, the least recently used first
	size  int64
}

// tree is one unpacked artifact.
type tree struct {
	key      string
	dir      string
	size     int64
	users    int
	entitled map[types.UID]struct{}
	place    *list.Element
}

// Tree is an unpacked artifact in use. It stays on disk until it is closed.
type Tree struct {
	cache *Cache
	tree  *tree
	once  sync.Once
}

// Dir is the directory of the artifact. Nothing may be written there.
func (t *Tree) Dir() string { return t.tree.dir }

// Close ends the use; a second call does nothing.
func (t *Tree) Close() {
	t.once.Do(func() { t.cache.release(t.tree) })
}

// NewCache returns a Cache in a new directory below parent, removing what an
// earlier process left there. It keeps at most maxSize bytes beyond what is in
// use.
func NewCache(parent string, maxSize int64, fetcher *Fetcher) (*Cache, error) {
	dir := filepath.Join(parent, "weir-artifacts")
	if err := remove(dir); err != nil {
		return nil, fmt.Errorf("empty the artifact cache: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the artifact cache: %w", err)
	}
	return &Cache{dir: dir, maxSize: maxSize, fetcher: fetcher, trees: map[string]*tree{}, used: list.New()}, nil
}

// Open returns the unpacked artifact of a source, downloading it if this
// source has not yet. The caller closes the tree. Errors are those of Fetch,
// or say why the artifact cannot be unpacked.
func (c *Cache) Open(ctx context.Context, source types.UID, a *meta.Artifact) (*Tree, error) {
	key := cacheKey(source, a.Digest)
	if t := c.acquire(source, key); t != nil {
		return t, nil
	}
	_, err, _ := c.flights.Do(string(source)+"/"+a.Digest, func() (any, error) {
		return nil, c.load(ctx, source, a)
	})
	if err != nil {
		return nil, err
	}
	if t := c.acquire(source, key); t != nil {
		return t, nil
	}
	// Evicted between the load and now: the cache is too small to share.
	if err := c.load(ctx, source, a); err != nil {
		return nil, err
	}
	if t := c.acquire(source, key); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("unpack artifact %s: it does not stay in a cache of %d bytes", a.Path, c.maxSize)
}

// cacheKey is what an unpacked artifact is shared by: its digest, or for one
// that does not stand for its content, the source as well.
func cacheKey(source types.UID, digest string) string {
	if Shareable(digest) {
		return digest
	}
	return string(source) + "/" + digest
}

// acquire returns what is there for an entitled source, or nil.
func (c *Cache) acquire(source types.UID, key string) *Tree {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[key]
	if t == nil {
		return nil
	}
	if _, ok := t.entitled[source]; !ok {
		return nil
	}
	if _, err := os.Stat(t.dir); err != nil {
		c.drop(t)
		return nil
	}
	t.users++
	c.used.MoveToBack(t.place)
	return &Tree{cache: c, tree: t}
}

func (c *Cache) release(t *tree) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.users--
	if c.trees[t.key] != t && t.users == 0 {
		_ = remove(t.dir) // lost from the cache while in use; the next start cleans up
		return
	}
	c.evict(nil)
}

// load downloads for a source, and unpacks unless somebody has before.
func (c *Cache) load(ctx context.Context, source types.UID, a *meta.Artifact) error {
	packed, err := os.CreateTemp(c.dir, "download-")
	if err != nil {
		return fmt.Errorf("fetch artifact %s: %w", a.Path, pathless(err))
	}
	defer func() {
		_ = packed.Close()
		_ = os.Remove(packed.Name())
	}()
	if err := c.fetcher.Fetch(ctx, a, packed); err != nil {
		return err
	}
	key := cacheKey(source, a.Digest)
	if c.entitle(source, key) {
		return nil
	}
	if _, err := packed.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", a.Path, pathless(err))
	}
	dir, size, err := c.unpack(packed)
	if err != nil {
		return fmt.Errorf("unpack artifact %s: %w", a.Path, pathless(err))
	}
	c.add(&tree{key: key, dir: dir, size: size, entitled: map[types.UID]struct{}{source: {}}})
	return nil
}

func (c *Cache) entitle(source types.UID, key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[key]
	if t == nil {
		return false
	}
	t.entitled[source] = struct{}{}
	return true
}

func (c *Cache) add(t *tree) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.trees[t.key]; other != nil {
		for source := range t.entitled {
			other.entitled[source] = struct{}{}
		}
		_ = remove(t.dir) // somebody else was faster
		return
	}
	c.trees[t.key] = t
	t.place = c.used.PushBack(t)
	c.size += t.size
	c.evict(t)
}

// evict removes what was not used for longest, until the rest fits. What is in
// use stays, and so does keep, which somebody is about to use.
func (c *Cache) evict(keep *tree) {
	for at := c.used.Front(); at != nil && c.size > c.maxSize; {
		t, ok := at.Value.(*tree)
		at = at.Next()
		if ok && t.users == 0 && t != keep {
			c.drop(t)
		}
	}
}

func (c *Cache) drop(t *tree) {
	delete(c.trees, t.key)
	c.used.Remove(t.place)
	c.size -= t.size
	if t.users == 0 {
		_ = remove(t.dir) // what cannot be removed now is at the next start
	}
}

// unpack extracts files and directories, and nothing else, to a new directory
// that nobody can write to. It returns the directory and its size in bytes.
func (c *Cache) unpack(packed io.Reader) (string, int64, error) {
	dir, err := os.MkdirTemp(c.dir, "tree-")
	if err != nil {
		return "", 0, err
	}
	var size int64
	if err = unpack(packed, dir, c.fetcher.maxSize); err == nil {
		size, err = seal(dir)
	}
	if err != nil {
		return "", 0, errors.Join(err, remove(dir))
	}
	return dir, size, nil
}

// seal makes a directory read-only and returns its size in bytes.
func seal(dir string) (size int64, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return root.Chmod(path, 0o555)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		return root.Chmod(path, 0o444)
	})
	return size, err
}

// remove deletes a directory, sealed or not.
func remove(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return root.Chmod(path, 0o700) // a directory has to be entered
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}

// pathless takes the names of temporary files out of an error, which would
// make its text another one each time.
func pathless(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	if text := err.Error(); strings.Contains(text, os.TempDir()) {
		return errors.New("the disk of the artifact cache does not work")
	}
	return err
}
