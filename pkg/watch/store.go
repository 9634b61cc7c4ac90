// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// store keeps what digest makes of each live object. A reflector fills it.
type store[T comparable] struct {
	digest  func(*unstructured.Unstructured) T
	changed func(before, after *T)

	mu    sync.RWMutex
	items map[types.NamespacedName]entry[T]

	filled   chan struct{} // closed once the first list is complete
	fillOnce sync.Once
}

// entry is a digest and the version of the object that it was made of.
type entry[T any] struct {
	digest  *T
	version string
}

var _ cache.ReflectorStore = (*store[Record])(nil)

func newStore[T comparable](digest func(*unstructured.Unstructured) T, changed func(before, after *T)) *store[T] {
	return &store[T]{
		digest:  digest,
		changed: changed,
		items:   map[types.NamespacedName]entry[T]{},
		filled:  make(chan struct{}),
	}
}

func (s *store[T]) get(key types.NamespacedName) *T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.items[key].digest
}

// settle lets those go on who wait for the first list.
func (s *store[T]) settle() { s.fillOnce.Do(func() { close(s.filled) }) }

// Add implements cache.ReflectorStore.
func (s *store[T]) Add(obj any) error { return s.Update(obj) }

// Update implements cache.ReflectorStore.
func (s *store[T]) Update(obj any) error {
	if live, ok := obj.(*unstructured.Unstructured); ok {
		s.put(live)
	}
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *store[T]) Delete(obj any) error {
	if live, ok := obj.(*unstructured.Unstructured); ok {
		s.drop(keyOf(live))
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *store[T]) Replace(list []any, _ string) error {
	gone := map[types.NamespacedName]struct{}{}
	s.mu.RLock()
	for key := range s.items {
		gone[key] = struct{}{}
	}
	s.mu.RUnlock()
	for _, listed := range list {
		if live, ok := listed.(*unstructured.Unstructured); ok {
			delete(gone, keyOf(live))
			s.put(live)
		}
	}
	for key := range gone {
		s.drop(key)
	}
	s.settle()
	return nil
}

// Resync implements cache.ReflectorStore; what is kept needs none.
func (s *store[T]) Resync() error { return nil }

func (s *store[T]) put(live *unstructured.Unstructured) {
	after := s.digest(live)
	key := keyOf(live)
	s.mu.Lock()
	before := s.items[key].digest
	s.items[key] = entry[T]{&after, strings.Clone(live.GetResourceVersion())}
	s.mu.Unlock()
	if before == nil || *before != after {
		s.changed(before, &after)
	}
}

// renew replaces the digest of an object that has not changed, because what
// goes into a digest has. Of another version of the object the watch tells, or
// has told, by itself.
func (s *store[T]) renew(live *unstructured.Unstructured, digest T) {
	key := keyOf(live)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.items[key]; ok && have.version == live.GetResourceVersion() {
		s.items[key] = entry[T]{&digest, have.version}
	}
}

func (s *store[T]) drop(key types.NamespacedName) {
	s.mu.Lock()
	before := s.items[key].digest
	delete(s.items, key)
	s.mu.Unlock()
	if before != nil {
		s.changed(before, nil)
	}
}

func keyOf(obj *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}
