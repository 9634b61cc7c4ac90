// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"container/list"
	"sync"
)

// cache keeps what was read by digest, which never changes, up to a number of
// bytes. What was used longest ago goes first.
type cache struct {
	mu    sync.Mutex
	limit int64
	size  int64
	order *list.List // of *cached, the last used one at the front
	items map[string]*list.Element
}

type cached struct {
	key   string
	value any
	size  int64
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, order: list.New(), items: map[string]*list.Element{}}
}

// lookup returns what is kept under a key, if it is a T.
func lookup[T any](c *cache, key string) (T, bool) {
	value, _ := c.get(key)
	typed, found := value.(T)
	return typed, found
}

func (c *cache) get(key string) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, found := c.items[key]
	if !found {
		return nil, false
	}
	c.order.MoveToFront(element)
	item, found := element.Value.(*cached)
	return item.value, found
}

// put keeps value unless it alone is larger than an eighth of the cache.
func (c *cache) put(key string, value any, size int64) {
	size += int64(len(key)) + 200 // the bookkeeping, roughly
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, found := c.items[key]; found || size > c.limit/8 {
		return
	}
	c.items[key] = c.order.PushFront(&cached{key: key, value: value, size: size})
	c.size += size
	for c.size > c.limit {
		last := c.order.Back()
		old, _ := c.order.Remove(last).(*cached)
		delete(c.items, old.key)
		c.size -= old.size
	}
}
