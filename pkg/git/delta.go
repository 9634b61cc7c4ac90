// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// level is one object on the path from a base to the delta at hand.
type level struct {
	typ     plumbing.ObjectType
	content []byte
	// next are the deltas on top of it that are not resolved yet.
	next []int32
}

// resolveAll finds the hashes of the deltas, one tree of deltas after the
// other.
func (x *indexer) resolveAll(ctx context.Context) error {
	if x.deltas == 0 {
		return nil
	}
	for i := range x.entries {
		e := &x.entries[i]
		if e.typ.IsDelta() {
			continue
		}
		children := x.children(e)
		if len(children) == 0 {
			continue
		}
		content, err := x.content(e)
		if err != nil {
			return err
		}
		if err := x.resolve(ctx, level{typ: e.typ, content: content, next: children}); err != nil {
			return err
		}
	}
	return nil
}

// resolve walks the tree of deltas on top of one object, in depth. An object
// leaves memory as soon as its last delta is being worked on, so a plain chain
// holds two objects at a time.
func (x *indexer) resolve(ctx context.Context, base level) error {
	stack := []level{base}
	defer func() { x.held = 0 }()
	x.held = int64(len(base.content))
	for len(stack) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := &stack[len(stack)-1]
		i := top.next[len(top.next)-1]
		top.next = top.next[:len(top.next)-1]
		content, err := x.patch(&x.entries[i], top)
		if err != nil {
			return err
		}
		x.held += int64(len(content))
		child := level{typ: top.typ, content: content, next: x.children(&x.entries[i])}
		if len(top.next) == 0 {
			x.held -= int64(len(top.content))
			stack = stack[:len(stack)-1]
		}
		if len(child.next) == 0 {
			x.held -= int64(len(content))
			continue
		}
		stack = append(stack, child)
		if len(stack) > maxChain {
			return fmt.Errorf("a chain of deltas is longer than %d", maxChain)
		}
		if x.held > maxDeltaMemory {
			return failf(ErrTooLarge, "the deltas of the commit need more than %d bytes of memory", maxDeltaMemory)
		}
	}
	return nil
}

// patch resolves one delta and notes its hash.
func (x *indexer) patch(e *packEntry, base *level) ([]byte, error) {
	if x.held+e.stored+e.size > maxDeltaMemory {
		return nil, failf(ErrTooLarge, "a delta of the commit needs more than %d bytes of memory", maxDeltaMemory)
	}
	delta, err := x.content(e)
	if err != nil {
		return nil, err
	}
	content, err := applyDelta(base.content, delta, e.size)
	if err != nil {
		return nil, err
	}
	e.hash = plumbing.ComputeHash(base.typ, content)
	x.resolved++
	return content, nil
}

// children returns the deltas on top of a resolved entry, and forgets them.
func (x *indexer) children(e *packEntry) []int32 {
	var list []int32
	for i := e.child; i >= 0; i = x.entries[i].sibling {
		list = append(list, i)
	}
	list = append(list, x.waiting[e.hash]...)
	delete(x.waiting, e.hash)
	return list
}

// content inflates what is stored for an entry.
func (x *indexer) content(e *packEntry) ([]byte, error) {
	if e.stored > maxDeltaMemory {
		return nil, failf(ErrTooLarge, "a delta of the commit needs more than %d bytes of memory", maxDeltaMemory)
	}
	if x.again == nil {
		x.again = newPackReader(nil, 8<<10)
	}
	x.again.restart(io.NewSectionReader(x.file, e.offset, 1<<62-e.offset), e.offset)
	if _, err := x.again.entry(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	buf.Grow(int(e.stored))
	if _, err := x.again.inflate(&buf, e.stored); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
