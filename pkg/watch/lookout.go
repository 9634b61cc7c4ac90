// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Awaited is an object that somebody waits for, as it was last read.
type Awaited struct {
	GVK schema.GroupVersionKind
	types.NamespacedName
	// Live is the object, nil if there is none.
	Live *unstructured.Unstructured
	// State says what of the object matters: whoever waits is woken when the
	// result is another one, and when the object appears or goes away. View
	// names the function; those with the same name have to be the same.
	View  string
	State func(*unstructured.Unstructured) string
}

// Lookout watches single objects for those who wait for them. Objects that
// many wait for are watched once. It reads with the identity of its client, so
// whoever is let in must have read the object under its own.
//
// An object that may not be watched wakes nobody: that is left to whoever
// waits.
type Lookout struct {
	client dynamic.Interface
	mapper meta.RESTMapper
	wake   func(who types.NamespacedName, after time.Duration)
	// follow begins a watch that outlives the call, and returns its end.
	follow func(of post, objects dynamic.ResourceInterface, into *store[string]) context.CancelFunc

	mu    sync.Mutex
	posts map[post]*posted
	users map[types.NamespacedName]map[post]struct{}
}

// post is one object, seen one way.
type post struct {
	gvk  schema.GroupVersionKind
	name types.NamespacedName
	view string
}

// posted is the watch of one post.
type posted struct {
	*store[string]

	users  map[types.NamespacedName]struct{} // guarded by the Lookout
	cancel context.CancelFunc
}

// NewLookout returns a Lookout without watches. They end with ctx. Wake is
// called with whom to wake, and must not block.
func NewLookout(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger, wake func(types.NamespacedName, time.Duration)) *Lookout {
	return &Lookout{
		client: client, mapper: mapper, wake: wake,
		follow: func(of post, objects dynamic.ResourceInterface, into *store[string]) context.CancelFunc {
			ctx, cancel := context.WithCancel(ctx)
			name := of.gvk.GroupKind().String()
			one := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, of.name.Name).String()}
			go follow(ctx, name, objects, one, into, func(error) {}, log.WithValues("awaited", name))
			return cancel
		},
		posts: map[post]*posted{},
		users: map[types.NamespacedName]map[post]struct{}{},
	}
}

// gather is how long changes are collected before somebody is woken.
const gather = 100 * time.Millisecond

// Await has one wait for objects from now on, instead of those of an earlier
// call; with none, the wait is over. It does not block. An object that has
// changed since it was read wakes at once. Kinds that the cluster does not
// have are left out.
func (l *Lookout) Await(who types.NamespacedName, objects ...Awaited) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := map[post]struct{}{}
	for i := range objects {
		key := post{objects[i].GVK, objects[i].NamespacedName, objects[i].View}
		if l.join(who, key, &objects[i]) {
			wanted[key] = struct{}{}
		}
	}
	for key := range l.users[who] {
		if _, still := wanted[key]; !still {
			l.leave(who, key)
		}
	}
	if len(wanted) == 0 {
		delete(l.users, who)
		return
	}
	l.users[who] = wanted
}

// join has an object watched, and reports whether it can be. The caller holds
// the lock.
func (l *Lookout) join(who types.NamespacedName, key post, object *Awaited) bool {
	p := l.posts[key]
	if p == nil {
		if p = l.start(key, object); p == nil {
			return false
		}
		l.posts[key] = p
	} else if seen := p.get(key.name); !sameState(seen, object) {
		l.wake(who, gather)
	}
	p.users[who] = struct{}{}
	return true
}

func sameState(seen *string, object *Awaited) bool {
	if seen == nil || object.Live == nil {
		return seen == nil && object.Live == nil
	}
	return *seen == object.State(object.Live)
}

// start watches one object. What was read of it counts as seen, so that only
// what has changed since then wakes.
func (l *Lookout) start(key post, object *Awaited) *posted {
	mapping, err := l.mapper.RESTMapping(key.gvk.GroupKind(), key.gvk.Version)
	if err != nil {
		return nil
	}
	source := dynamic.ResourceInterface(l.client.Resource(mapping.Resource))
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		source = l.client.Resource(mapping.Resource).Namespace(key.name.Namespace)
	}
	p := &posted{users: map[types.NamespacedName]struct{}{}}
	p.store = newStore(object.State, func(_, _ *string) {})
	if object.Live != nil {
		p.put(object.Live)
	}
	p.store.changed = func(_, _ *string) { l.changed(key) }
	p.cancel = l.follow(key, source, p.store)
	return p
}

// leave ends one's use of a watch. The caller holds the lock.
func (l *Lookout) leave(who types.NamespacedName, key post) {
	p := l.posts[key]
	if p == nil {
		return
	}
	delete(p.users, who)
	if len(p.users) == 0 {
		p.cancel()
		delete(l.posts, key)
	}
}

func (l *Lookout) changed(key post) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.posts[key]; p != nil {
		for who := range p.users {
			l.wake(who, gather)
		}
	}
}

// Watching returns how many objects are being watched.
func (l *Lookout) Watching() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.posts)
}
