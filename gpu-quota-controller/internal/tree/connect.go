// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"slices"
	"strings"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// connect gives every quota its parent and its root. It begins with the trees
// of the previous Forest, which were valid, and moves one quota after the other
// to where its spec wants it, the oldest first, unless that made a cycle or a
// path that is too long. So there is a valid tree at all times, and what does
// not fit stays where it was.
func (f *Forest) connect(previous *Forest) {
	var moves []*Quota
	for _, q := range f.byAge() {
		if before := previous.before(f.sources[q.Name]); before != nil && f.quotas[before.Parent] != nil {
			q.Parent = before.Parent
		}
	}
	for _, q := range f.byAge() {
		wanted := wantedParent(q)
		switch {
		case wanted == q.Parent:
		case wanted == "":
			q.Parent = ""
		case f.quotas[wanted] == nil:
			q.Parent = ""
			q.orProblem(quotav1.ParentNotFoundReason, fmt.Sprintf("spec.parentRef: there is no GPUQuota %q; its own limits hold meanwhile", wanted))
		default:
			moves = append(moves, q)
		}
	}
	f.adopt()
	f.move(moves)
	f.root(previous)
}

// wantedParent is the name of the parent that a spec asks for, or "".
func wantedParent(q *Quota) string {
	if q.Spec.ParentRef == nil {
		return ""
	}
	return q.Spec.ParentRef.Name
}

// move carries out the moves that are possible, again and again, since one may
// make room for another, and tells of the rest.
func (f *Forest) move(moves []*Quota) {
	for again := true; again; {
		again = false
		moves = slices.DeleteFunc(moves, func(q *Quota) bool {
			wanted := wantedParent(q)
			if f.obstacle(q, wanted) != nil {
				return false
			}
			f.detach(q)
			q.Parent = wanted
			f.quotas[wanted].Children = append(f.quotas[wanted].Children, q.Name)
			again = true
			return true
		})
	}
	for _, q := range moves {
		p := f.obstacle(q, wantedParent(q))
		q.orProblem(p.Reason, p.Message)
	}
}

func (f *Forest) detach(q *Quota) {
	if parent := f.quotas[q.Parent]; parent != nil {
		parent.Children = slices.DeleteFunc(parent.Children, func(name string) bool { return name == q.Name })
	}
}

// obstacle says why a quota cannot have a parent, or nil.
func (f *Forest) obstacle(q *Quota, parent string) *Problem {
	path := f.Path(parent)
	if slices.Contains(path, q.Name) {
		circle := append([]string{q.Name}, path[:slices.Index(path, q.Name)+1]...)
		return &Problem{quotav1.CycleReason, fmt.Sprintf("spec.parentRef: the quota would be its own ancestor (%s); the last valid tree holds: change the parentRef of one of them",
			strings.Join(circle, " → "))}
	}
	if len(path)+f.height(q) > quotav1.MaxDepth {
		return &Problem{quotav1.TooDeepReason, fmt.Sprintf("spec.parentRef: below GPUQuota %q a path would have more than %d quotas; the last valid tree holds: move the quota up",
			parent, quotav1.MaxDepth)}
	}
	return nil
}

// height is how many quotas the longest path from a quota down has.
func (f *Forest) height(q *Quota) int {
	height := 0
	for _, child := range q.Children {
		height = max(height, f.height(f.quotas[child]))
	}
	return height + 1
}

// adopt fills Children from Parent. A change since the previous Forest has only
// taken quotas away from it and made roots of others, so there is no cycle and
// no path is too long.
func (f *Forest) adopt() {
	for _, q := range f.quotas {
		if parent := f.quotas[q.Parent]; parent != nil {
			parent.Children = append(parent.Children, q.Name)
		}
	}
}

// root fills in what follows from the parents.
func (f *Forest) root(previous *Forest) {
	for _, q := range f.quotas {
		slices.Sort(q.Children)
		q.Root = f.climb(q.Name)
		if q.Parent != "" {
			continue
		}
		f.roots = append(f.roots, q.Name)
		f.classify(q, previous)
	}
	slices.Sort(f.roots)
}

// classify gives a root the classes of its tree.
func (f *Forest) classify(q *Quota, previous *Forest) {
	q.Devices = q.Spec.Devices
	if before := previous.before(f.sources[q.Name]); before != nil && wantedParent(q) != "" {
		// It is no root by its own will: its limits are about the classes of
		// the tree that it was in.
		if top := previous.quotas[before.Root]; top != nil {
			q.Devices = top.Devices
		}
	}
	catalogue, err := gpu.Compile(q.Devices)
	if err != nil {
		// What a ledger says may be of another version of Weir.
		q.Devices = nil
		catalogue, _ = gpu.Compile(nil)
	}
	q.Catalogue = catalogue
}

// climb returns the root of a quota.
func (f *Forest) climb(name string) string {
	for range quotav1.MaxDepth {
		q := f.quotas[name]
		if q == nil || f.quotas[q.Parent] == nil {
			break
		}
		name = q.Parent
	}
	return name
}

// orProblem sets a problem unless there is a graver one.
func (q *Quota) orProblem(reason, message string) {
	if q.Problem == nil {
		q.Problem = &Problem{reason, message}
	}
}
