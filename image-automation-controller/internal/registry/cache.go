// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package registry

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

func (c *cache) get(key string) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, found := c.items[key]
	if !found {
		return nil, false
	}
	c.order.MoveToFront(element)
	return element.Value.(*cached).value, true //nolint:errcheck,forcetypeassert // The list holds nothing else.
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
		old := c.order.Remove(last).(*cached) //nolint:errcheck,forcetypeassert // The list holds nothing else.
		delete(c.items, old.key)
		c.size -= old.size
	}
}
