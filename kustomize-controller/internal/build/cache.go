// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// key is what a cached value was made from. The UID keeps tenants apart: a source that has not fetched a digest by itself
// never gets what was built from it for another.
type key struct {
	source types.UID
	digest string
	dir    string
	// spec is the hash of what the spec asks of kustomize; zero for a plan, which does not depend on it.
	spec [sha256.Size]byte
}

// revisions is how many digests of a source are kept for each of its directories: the newest, and the one before, which a
// `git revert` leads back to and which those may still want who are late. Older ones are history: kept, they would fill the
// cache with what nobody asks for again.
const revisions = 2

// line is a key without the digest: all that was made of one directory in one way, whatever the revision.
type line struct {
	source types.UID
	dir    string
	spec   [sha256.Size]byte
}

func (k key) line() line { return line{k.source, k.dir, k.spec} }

// hashSpec returns the hash of the fields that decide what kustomize builds.
func hashSpec(spec *kustomizev1.KustomizationSpec) ([sha256.Size]byte, error) {
	data, err := json.Marshal(struct {
		TargetNamespace, NamePrefix, NameSuffix string
		Patches                                 []meta.Patch
		Images                                  []meta.Image
		Components                              []string
		IgnoreMissingComponents                 bool
		BuildMetadata                           []kustomizev1.BuildMetadataOption
	}{
		spec.TargetNamespace, spec.NamePrefix, spec.NameSuffix, spec.Patches, spec.Images, spec.Components,
		spec.IgnoreMissingComponents, spec.BuildMetadata,
	})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("hash the spec: %w", err)
	}
	return sha256.Sum256(data), nil
}

// value is what can be cached: it must not be changed any more.
type value interface {
	// size is about how many bytes the value takes.
	size() int64
	// keep is false for a value that must not outlive the build that made it.
	keep() bool
}

// cache keeps values of the newest revisions up to a number of bytes, and drops those first that were not used for longest.
// Of several callers that want the same value at once, one makes it.
type cache struct {
	limit int64

	mu    sync.Mutex
	used  int64
	items map[key]*list.Element // of *item
	order *list.List            // the most recently used first
	lines map[line][]key        // of items, the oldest first
	made  map[key]*making
}

type item struct {
	key   key
	value value
	size  int64
}

// making is a value that somebody is about to make.
type making struct {
	done  chan struct{}
	value value
	err   error
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, items: map[key]*list.Element{}, order: list.New(), lines: map[line][]key{}, made: map[key]*making{}}
}

// get returns the value of k, made by the function if it is not there. An error is not kept.
func (c *cache) get(ctx context.Context, k key, build func() (value, error)) (value, error) {
	for {
		c.mu.Lock()
		if element, ok := c.items[k]; ok {
			c.order.MoveToFront(element)
			found, _ := element.Value.(*item)
			c.mu.Unlock()
			return found.value, nil
		}
		other, busy := c.made[k]
		if !busy {
			other = &making{done: make(chan struct{})}
			c.made[k] = other
			c.mu.Unlock()
			c.run(k, other, build)
			return other.value, other.err
		}
		c.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the same build to end: %w", ctx.Err())
		}
		// Its maker may have run out of time, or may not share what it made: then it is this caller's turn.
		if other.err == nil && other.value.keep() || other.err != nil && !isContext(other.err) {
			return other.value, other.err
		}
	}
}

// cached is get for values of one type. A key must always be used with the same one.
func cached[V value](ctx context.Context, c *cache, k key, build func() (V, error)) (V, error) {
	v, err := c.get(ctx, k, func() (value, error) { return build() })
	if err != nil {
		var none V
		return none, err
	}
	typed, ok := v.(V)
	if !ok {
		return typed, fmt.Errorf("the cache holds a %T in the place of a %T", v, typed)
	}
	return typed, nil
}

// run makes a value, and hands it to those who wait even if that panics.
func (c *cache) run(k key, m *making, build func() (value, error)) {
	m.err = errors.New("the build ended without a result")
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.made, k)
		if m.err == nil && m.value.keep() {
			c.put(k, m.value)
		}
		close(m.done)
	}()
	m.value, m.err = build()
}

// put adds a value and drops others until all fit. The caller holds the lock.
func (c *cache) put(k key, v value) {
	size := v.size()
	if size > c.limit {
		return
	}
	l := k.line()
	c.items[k] = c.order.PushFront(&item{key: k, value: v, size: size})
	c.lines[l] = append(c.lines[l], k)
	c.used += size
	if len(c.lines[l]) > revisions {
		c.drop(c.items[c.lines[l][0]])
	}
	for c.used > c.limit {
		c.drop(c.order.Back())
	}
}

// drop forgets a value. The caller holds the lock.
func (c *cache) drop(element *list.Element) {
	dropped, _ := c.order.Remove(element).(*item)
	delete(c.items, dropped.key)
	c.used -= dropped.size
	l := dropped.key.line()
	c.lines[l] = slices.DeleteFunc(c.lines[l], func(k key) bool { return k == dropped.key })
	if len(c.lines[l]) == 0 {
		delete(c.lines, l)
	}
}

// bytes returns how much the cache holds.
func (c *cache) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
