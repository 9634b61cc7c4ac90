// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"container/list"
	"sync"

	"k8s.io/client-go/dynamic"
)

// place is where an entry is kept: a Secret as one client has read it.
type place struct {
	client    dynamic.Interface
	namespace string
	key       string
}

// cache keeps entries, those that were used last, up to a number of bytes.
type cache struct {
	limit int64

	mu    sync.Mutex
	used  int64
	order *list.List // of *kept, the last used first
	kept  map[place]*list.Element
}

type kept struct {
	place place
	entry *entry
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, order: list.New(), kept: map[place]*list.Element{}}
}

func (c *cache) get(at place) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.kept[at]
	if element == nil {
		return nil
	}
	c.order.MoveToFront(element)
	return itemOf(element).entry
}

func (c *cache) put(at place, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(at)
	if e.size() > c.limit {
		return
	}
	c.kept[at] = c.order.PushFront(&kept{at, e})
	c.used += e.size()
	for c.used > c.limit {
		c.drop(itemOf(c.order.Back()).place)
	}
}

func (c *cache) remove(at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(at)
}

// drop forgets an entry. The caller holds the lock.
func (c *cache) drop(at place) {
	if element := c.kept[at]; element != nil {
		c.used -= itemOf(element).entry.size()
		c.order.Remove(element)
		delete(c.kept, at)
	}
}

func (c *cache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

func itemOf(element *list.Element) *kept {
	item, _ := element.Value.(*kept)
	return item
}
