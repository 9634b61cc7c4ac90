// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"sync"
	"time"
)

// Cache keeps what was looked up in indexes: of each index the charts that
// somebody asked for, never all of it.
type Cache struct {
	size          int
	ttl, interval time.Duration
	now           func() time.Time

	mu      sync.Mutex
	purged  time.Time
	indexes map[string]*cachedIndex
}

type cachedIndex struct {
	charts  map[string][]Entry // nil: there is no such chart
	expires time.Time
}

// NewCache returns a Cache of at most size indexes, each of which is kept for
// ttl after it was used last. What has expired is removed at most once in
// interval. It returns nil, which keeps nothing, for a size of zero.
func NewCache(size int, ttl, interval time.Duration) *Cache {
	if size < 1 {
		return nil
	}
	return &Cache{size: size, ttl: ttl, interval: interval, now: time.Now, indexes: map[string]*cachedIndex{}}
}

// get returns the versions of a chart in the index with a key. Nil: there is no
// such chart; known says whether that was looked up.
func (c *Cache) get(key, name string) (entries []Entry, known bool) {
	if c == nil || key == "" {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purge()
	index, found := c.indexes[key]
	if !found || index.expires.Before(c.now()) {
		return nil, false
	}
	index.expires = c.now().Add(c.ttl)
	entries, known = index.charts[name]
	return entries, known
}

// put keeps the versions of a chart. A full cache drops the index that was used
// longest ago.
func (c *Cache) put(key, name string, entries []Entry) {
	if c == nil || key == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purge()
	index, found := c.indexes[key]
	if !found {
		for len(c.indexes) >= c.size {
			oldest := ""
			for other, candidate := range c.indexes {
				if oldest == "" || candidate.expires.Before(c.indexes[oldest].expires) {
					oldest = other
				}
			}
			delete(c.indexes, oldest)
		}
		index = &cachedIndex{charts: map[string][]Entry{}}
		c.indexes[key] = index
	}
	index.charts[name] = entries
	index.expires = c.now().Add(c.ttl)
}

// purge removes what has expired.
func (c *Cache) purge() {
	now := c.now()
	if now.Sub(c.purged) < c.interval {
		return
	}
	c.purged = now
	for key, index := range c.indexes {
		if index.expires.Before(now) {
			delete(c.indexes, key)
		}
	}
}
