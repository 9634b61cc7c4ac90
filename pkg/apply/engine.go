// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package apply makes a cluster equal to sets of objects and keeps it so.
//
// A Set holds what one owner, such as a Kustomization, wants. Apply dry-runs
// what is not known to be unchanged, all of it before the first write, then
// writes in stages. From then on the watch tells when a live object differs
// from what the last apply returned, and Correct puts it back. An object that
// is unchanged costs no request.
package apply

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// How long events are collected before their owner is looked at again.
const (
	// driftDelay lets the events of an apply of our own arrive.
	driftDelay = 100 * time.Millisecond
	// healthDelay gathers the many small steps of a rollout.
	healthDelay = 200 * time.Millisecond
)

// Config of an Engine.
type Config struct {
	// Watch describes the cluster; its Changed is the Engine's own.
	Watch watch.Config
	// Keys that objects use to ask for special treatment.
	Keys Keys
	// Wake brings an owner back to its reconciler after the given time. It
	// must not block.
	Wake func(owner types.NamespacedName, after time.Duration)
	// Early are kinds that are written after definitions and classes, and
	// before everything else.
	Early []schema.GroupKind
	// Concurrency is how many requests one owner may have under way.
	Concurrency int
}

// Engine serves all owners on one cluster.
type Engine struct {
	config Config
	pool   *watch.Pool

	mu      sync.Mutex
	sets    map[types.NamespacedName]*Set
	targets map[inventory.Ref]map[types.NamespacedName]struct{}
	// listeners are told of the changes of an owner, who is then not woken.
	listeners map[types.NamespacedName]chan struct{}
}

// NewEngine returns an Engine whose watches end with ctx.
func NewEngine(ctx context.Context, config Config) *Engine {
	e := &Engine{
		config:  config,
		sets:    map[types.NamespacedName]*Set{},
		targets: map[inventory.Ref]map[types.NamespacedName]struct{}{},

		listeners: map[types.NamespacedName]chan struct{}{},
	}
	config.Watch.Leave, config.Watch.Merge = config.Keys.leave(), config.Keys.merge()
	config.Watch.Rules = e.rules
	config.Watch.Changed = e.changed
	config.Watch.Checks = e.checksOf
	e.pool = watch.NewPool(ctx, config.Watch)
	return e
}

// Set returns the set of an owner, empty if this process has not applied
// anything for it. An owner that was deleted and made anew is another one.
func (e *Engine) Set(owner types.NamespacedName, uid types.UID) *Set {
	e.mu.Lock()
	defer e.mu.Unlock()
	set := e.sets[owner]
	if set == nil || set.uid != uid {
		set = &Set{owner: owner, uid: uid, members: map[inventory.Ref]*member{}}
		e.sets[owner] = set
	}
	return set
}

// rules returns the exemptions of an owner.
func (e *Engine) rules(owner types.NamespacedName) *exemption.Rules {
	e.mu.Lock()
	set := e.sets[owner]
	e.mu.Unlock()
	if set == nil {
		return nil
	}
	return set.Rules()
}

// Forget ends the watches of an owner and drops its set.
func (e *Engine) Forget(ctx context.Context, owner types.NamespacedName) error {
	e.mu.Lock()
	set := e.sets[owner]
	delete(e.sets, owner)
	e.retarget(owner, nil)
	e.mu.Unlock()
	if set == nil {
		return nil
	}
	return e.pool.Use(ctx, set.uid, nil, nil)
}

// Watch has the kinds of an inventory, and the targets, watched for an owner,
// and returns when they have been listed.
func (e *Engine) Watch(ctx context.Context, set *Set, members inventory.Inventory, targets []watch.Target) error {
	kinds := map[schema.GroupVersionKind]struct{}{}
	for ref := range members {
		kinds[members.GVK(ref)] = struct{}{}
	}
	list := make([]schema.GroupVersionKind, 0, len(kinds))
	for gvk := range kinds {
		list = append(list, gvk)
	}
	e.mu.Lock()
	e.retarget(set.owner, targets)
	e.mu.Unlock()
	return e.pool.Use(ctx, set.uid, list, targets)
}

// Unwatched returns the kinds of a set that the API server does not let us
// watch. Their objects are read one by one instead, under the tenant, whenever
// the owner is looked at.
func (e *Engine) Unwatched(set *Set) []string {
	kinds := map[string]struct{}{}
	for _, m := range set.snapshot() {
		if e.pool.Refused(m.desired.GVK) != nil {
			kinds[m.desired.GVK.GroupKind().String()] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// changed finds whose object it is and wakes the owner if it matters.
func (e *Engine) changed(change watch.Change) {
	record := change.Record()
	ref := inventory.Ref{Namespace: record.Namespace, Name: record.Name, Group: change.GVK.Group, Kind: change.GVK.Kind}
	e.mu.Lock()
	set := e.sets[record.Owner]
	watchers := slices.Collect(maps.Keys(e.targets[ref]))
	heard := set != nil && e.signal(record.Owner)
	e.mu.Unlock()
	if set != nil {
		set.note(ref, change.After)
	}
	if set != nil && !heard {
		if after, matters := set.concerns(ref, change, e.scaled(ref)); matters {
			e.config.Wake(set.owner, after)
		}
	}
	for _, owner := range watchers {
		e.config.Wake(owner, healthDelay)
	}
}

// end lets the changes of a set's members wake its owner again, and wakes it if
// one was changed by somebody else while it was written.
func (e *Engine) end(set *Set) {
	if set.end(e.scaled) {
		e.config.Wake(set.owner, driftDelay)
	}
}

// retarget replaces the objects that an owner looks at by name. The caller
// holds the lock.
func (e *Engine) retarget(owner types.NamespacedName, targets []watch.Target) {
	for ref, owners := range e.targets {
		delete(owners, owner)
		if len(owners) == 0 {
			delete(e.targets, ref)
		}
	}
	for _, target := range targets {
		ref := refOfTarget(target)
		if e.targets[ref] == nil {
			e.targets[ref] = map[types.NamespacedName]struct{}{}
		}
		e.targets[ref][owner] = struct{}{}
	}
}

func refOfTarget(target watch.Target) inventory.Ref {
	return inventory.Ref{Namespace: target.Namespace, Name: target.Name, Group: target.GVK.Group, Kind: target.GVK.Kind}
}

func (e *Engine) scaled(ref inventory.Ref) bool {
	return e.pool.Scaled(ref.GroupKind(), types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name})
}
