// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// crowd bounds how many objects are at work on remote clusters at a time. A
// server that answers slowly, out of weakness or of malice, holds whoever talks
// to it; it must not hold everybody.
type crowd struct {
	// each is how many may work on one cluster, and all on all of them.
	each, all int

	mu      sync.Mutex
	busy    map[*Cluster]int
	sum     int
	queue   []waiting
	waiting map[waiting]struct{}
}

// waiting is somebody who found no place.
type waiting struct {
	cluster *Cluster
	owner   types.NamespacedName
}

// newCrowd leaves one of the workers to the local cluster, and half of them to
// clusters other than any given one. A single worker has to do for all.
func newCrowd(workers int) *crowd {
	return &crowd{
		each: max(1, workers/2), all: max(1, workers-1),
		busy: map[*Cluster]int{}, waiting: map[waiting]struct{}{},
	}
}

// enter takes a place, if there is one, and otherwise a place in the queue.
func (c *crowd) enter(cluster *Cluster, owner types.NamespacedName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room(cluster) {
		c.busy[cluster]++
		c.sum++
		return true
	}
	w := waiting{cluster, owner}
	if _, queued := c.waiting[w]; !queued {
		c.waiting[w] = struct{}{}
		c.queue = append(c.queue, w)
	}
	return false
}

// maxCalled is how many are called for one place: the first may be gone.
const maxCalled = 2

// leave gives the place back and returns those who may try for it.
func (c *crowd) leave(cluster *Cluster) (called []types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum--
	if c.busy[cluster]--; c.busy[cluster] == 0 {
		delete(c.busy, cluster)
	}
	left := c.queue[:0]
	for _, w := range c.queue {
		if len(called) == maxCalled || !c.room(w.cluster) {
			left = append(left, w)
			continue
		}
		delete(c.waiting, w)
		called = append(called, w.owner)
	}
	clear(c.queue[len(left):])
	c.queue = left
	return called
}

func (c *crowd) room(cluster *Cluster) bool {
	return c.sum < c.all && c.busy[cluster] < c.each
}

// Enter lets somebody work on a cluster until it calls the function. It
// returns nil if too many do so already; then the caller is woken when
// there is a place. There always is one on the local cluster.
func (c *Clusters) Enter(cluster *Cluster, owner types.NamespacedName) (leave func()) {
	if !cluster.Remote() {
		return func() {}
	}
	if !c.crowd.enter(cluster, owner) {
		return nil
	}
	return func() {
		for _, called := range c.crowd.leave(cluster) {
			c.config.Wake(called, 0)
		}
	}
}
