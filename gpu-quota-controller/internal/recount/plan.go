// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"maps"
	"reflect"
	"slices"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
)

// plan says which ledger counts the pods of which namespace. While a namespace
// moves from one tree to another, both do: the one that gains it is written
// first, and the one that loses it after that.
type plan struct {
	state *view.State
	// turn grows with each State.
	turn int64
	// moves are those that the gaining ledger has not been written for.
	moves []move
}

// move is a namespace on its way.
type move struct {
	namespace string
	from, to  string
	// quota that the namespace had in the tree that it leaves.
	quota string
	turn  int64
}

// follow takes a State in and returns the roots whose ledgers it changes, or
// may change.
func (p *plan) follow(state *view.State) []string {
	if p.state == state {
		return nil
	}
	before := p.state
	p.state = state
	p.turn++
	if before == nil {
		return state.Forest.Roots()
	}
	dirty := map[string]bool{}
	for _, root := range append(slices.Clone(before.Forest.Roots()), state.Forest.Roots()...) {
		if !sameTree(before.Forest, state.Forest, root) {
			dirty[root] = true
		}
	}
	for ns := range before.Namespaces {
		p.compare(before, state, ns, dirty)
	}
	for ns := range state.Namespaces {
		if _, known := before.Namespaces[ns]; !known {
			p.compare(before, state, ns, dirty)
		}
	}
	delete(dirty, "")
	return slices.Sorted(maps.Keys(dirty))
}

// compare notes what became of one namespace.
func (p *plan) compare(before, state *view.State, ns string, dirty map[string]bool) {
	from, to := before.Root(ns), state.Root(ns)
	if before.Owner[ns] != state.Owner[ns] || from != to {
		dirty[from], dirty[to] = true, true
	}
	if from == to {
		return
	}
	// What is on its way already has another goal now, and may be back.
	p.moves = slices.DeleteFunc(p.moves, func(m move) bool { return m.namespace == ns && (m.from == to || to == "") })
	for i := range p.moves {
		if p.moves[i].namespace == ns {
			p.moves[i].to, p.moves[i].turn = to, p.turn
		}
	}
	if from != "" && to != "" {
		p.moves = append(p.moves, move{namespace: ns, from: from, to: to, quota: before.Owner[ns], turn: p.turn})
	}
}

// sameTree reports whether a tree is the same in two Forests.
func sameTree(a, b *tree.Forest, root string) bool {
	return slices.EqualFunc(a.Members(root), b.Members(root), func(x, y *tree.Quota) bool {
		return x.Name == y.Name && x.UID == y.UID && x.Generation == y.Generation && x.Parent == y.Parent && reflect.DeepEqual(x.Devices, y.Devices)
	})
}

// counters returns the roots that count a namespace.
func (p *plan) counters(namespace string) []string {
	if p.state == nil {
		return nil
	}
	var roots []string
	if root := p.state.Root(namespace); root != "" {
		roots = append(roots, root)
	}
	for _, m := range p.moves {
		if m.namespace == namespace && !slices.Contains(roots, m.from) {
			roots = append(roots, m.from)
		}
	}
	return roots
}

// order is what one count of a tree goes by.
type order struct {
	state *view.State
	turn  int64
	root  string
	// leaving are namespaces that the tree still counts, with their quota.
	leaving map[string]string
}

// order returns what to count for a root now.
func (p *plan) order(root string) order {
	o := order{state: p.state, turn: p.turn, root: root, leaving: map[string]string{}}
	for _, m := range p.moves {
		if m.from == root {
			o.leaving[m.namespace] = m.quota
		}
	}
	return o
}

// done notes that a tree was counted by an order, and returns the roots that
// may let go of namespaces now.
func (p *plan) done(o order) []string {
	var losing []string
	p.moves = slices.DeleteFunc(p.moves, func(m move) bool {
		over := m.to == o.root && m.turn <= o.turn
		if over && !slices.Contains(losing, m.from) {
			losing = append(losing, m.from)
		}
		return over
	})
	return losing
}

// quota returns the quota of the tree that a namespace is counted for, or "".
func (o order) quota(namespace string) string {
	if o.state.Root(namespace) == o.root {
		return o.state.Owner[namespace]
	}
	quota := o.leaving[namespace]
	if quota == "" {
		return ""
	}
	if q := o.state.Forest.Quota(quota); q != nil && q.Root == o.root {
		return quota
	}
	return o.root
}
