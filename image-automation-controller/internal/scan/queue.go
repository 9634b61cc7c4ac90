// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import "slices"

// queue says which scan is next. Hosts and credentials take turns, so that one
// with a thousand repositories does not keep another waiting. Scans that are
// likely to fail, which may mean that they last until their timeout, get a
// quarter of the places only, and so do those of one namespace.
type queue struct {
	workers, perGroup, perSpace int

	lanes   [2]lane // those that are expected to succeed, and the others
	groups  map[string]int
	spaces  map[string]int
	running int // in all lanes
	failing int // in the second one
	length  int
}

// lane holds entries by group, and the groups in the order of their turns.
type lane struct {
	entries map[string][]*entry
	turns   []string
}

func newQueue(workers, perGroup int) queue {
	q := queue{workers: workers, perGroup: perGroup, perSpace: max(workers/4, 1), groups: map[string]int{}, spaces: map[string]int{}}
	for i := range q.lanes {
		q.lanes[i].entries = map[string][]*entry{}
	}
	return q
}

// push appends an entry.
func (q *queue) push(e *entry) {
	l := &q.lanes[0]
	if e.failed > 0 {
		l = &q.lanes[1]
	}
	group := e.key.group()
	if len(l.entries[group]) == 0 {
		l.turns = append(l.turns, group)
	}
	l.entries[group] = append(l.entries[group], e)
	q.length++
}

// pop returns the next entry that may begin, or nil. The caller tells done when
// it has ended.
func (q *queue) pop() *entry {
	if q.running >= q.workers {
		return nil
	}
	if e := q.take(&q.lanes[0]); e != nil {
		return e
	}
	if q.failing >= max(q.workers/4, 1) {
		return nil
	}
	e := q.take(&q.lanes[1])
	if e != nil {
		q.failing++
	}
	return e
}

func (q *queue) take(l *lane) *entry {
	for i, group := range l.turns {
		if q.groups[group] >= q.perGroup {
			continue
		}
		waiting := l.entries[group]
		at := slices.IndexFunc(waiting, q.admits)
		if at < 0 {
			continue
		}
		e := waiting[at]
		e.space = e.key.Namespace
		l.turns = append(l.turns[:i], l.turns[i+1:]...)
		if len(waiting) > 1 {
			l.entries[group] = slices.Delete(waiting, at, at+1)
			l.turns = append(l.turns, group)
		} else {
			delete(l.entries, group)
		}
		q.groups[group]++
		q.spaces[e.space]++
		q.running++
		q.length--
		return e
	}
	return nil
}

// admits reports whether the namespace of an entry has a place left. One that
// has no namespace is not counted.
func (q *queue) admits(e *entry) bool {
	return e.key.Namespace == "" || q.spaces[e.key.Namespace] < q.perSpace
}

// done gives the place of an entry free. failing is what it was when it was
// popped.
func (q *queue) done(e *entry, failing bool) {
	q.running--
	if failing {
		q.failing--
	}
	group := e.key.group()
	if q.groups[group]--; q.groups[group] <= 0 {
		delete(q.groups, group)
	}
	if q.spaces[e.space]--; q.spaces[e.space] <= 0 {
		delete(q.spaces, e.space)
	}
}
