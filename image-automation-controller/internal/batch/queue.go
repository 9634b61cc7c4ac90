// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	// window is how long a job waits for others with the same key after the last
	// one has come, and longest how long the first one waits for all of them.
	window  = 100 * time.Millisecond
	longest = 2 * time.Second
	// maxRuns bounds the batches that run at a time, maxPerHost those of them that
	// talk to one host, and maxPerSpace those of one namespace, so that a dead
	// server holds up its own users, and many names of one nobody else.
	maxRuns     = 32
	maxPerHost  = 8
	maxPerSpace = 16
)

// task is one job on its way.
type task struct {
	job   Job
	queue *queue
	// wanted ends, by cancel, when nobody wants the outcome any more.
	wanted context.Context //nolint:containedctx // It is that of one job.
	cancel context.CancelFunc
}

// dropped reports whether the task was cancelled.
func (t *task) dropped() bool { return t.wanted.Err() != nil }

// queue holds the jobs with one key that wait. The Batcher's mutex guards it.
type queue struct {
	key, host string
	tasks     []*task
	// busy: a goroutine takes care of it.
	busy bool
	// arrived has room for one: a job has come.
	arrived chan struct{}
}

// gather returns when no more jobs come. Those of many automations become due
// together, and their registries answer one after the other.
func (q *queue) gather(ctx context.Context) {
	quiet, late := time.NewTimer(window), time.NewTimer(longest)
	defer quiet.Stop()
	defer late.Stop()
	for {
		select {
		case <-q.arrived:
			quiet.Reset(window)
		case <-quiet.C:
			return
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// begin has a goroutine take care of the queue. The caller holds the mutex.
func (b *Batcher) begin(q *queue) {
	if q.busy || b.ctx == nil {
		return
	}
	q.busy = true
	ctx := b.ctx
	b.running.Go(func() { b.serve(ctx, q) })
}

// serve runs one batch after the other until nobody waits.
func (b *Batcher) serve(ctx context.Context, q *queue) {
	for {
		q.gather(ctx)
		release, err := b.slots.acquire(ctx, q.host, b.space(q))
		tasks := b.next(q, err == nil)
		if len(tasks) > 0 {
			b.run(ctx, tasks)
		}
		if err == nil {
			release()
		}
		if len(tasks) == 0 {
			return
		}
	}
}

// space returns the namespace that the next batch of a queue counts for.
func (b *Batcher) space(q *queue) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(q.tasks) == 0 {
		return ""
	}
	return q.tasks[0].job.Owner.Namespace
}

// next takes all jobs of the queue, in the order of their owners, and gives the
// queue up if there are none or if there is no time left to run them.
func (b *Batcher) next(q *queue, run bool) []*task {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !run || len(q.tasks) == 0 {
		q.busy = false
		if len(q.tasks) == 0 {
			delete(b.queues, q.key)
		}
		return nil
	}
	tasks := q.tasks
	q.tasks = nil
	for _, t := range tasks {
		delete(b.waiting, t.job.Owner)
		b.active[t.job.Owner] = t
	}
	slices.SortFunc(tasks, func(x, y *task) int {
		return cmp.Or(cmp.Compare(x.job.Owner.Namespace, y.job.Owner.Namespace), cmp.Compare(x.job.Owner.Name, y.job.Owner.Name))
	})
	return tasks
}
