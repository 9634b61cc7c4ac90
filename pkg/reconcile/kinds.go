// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"fmt"
	"sync"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Kinds are watches that begin when an object first needs them: a kind of
// source that this cluster does not have must not keep a controller from
// starting.
type Kinds struct {
	controller controller.Controller
	cache      cache.Cache

	mu    sync.Mutex
	begun map[string]struct{}
}

// NewKinds returns Kinds for a controller that reads from the cache.
func NewKinds(c controller.Controller, from cache.Cache) *Kinds {
	return &Kinds{controller: c, cache: from, begun: map[string]struct{}{}}
}

// Begin watches the kind of an example, once.
func (k *Kinds) Begin(name string, example client.Object, wake handler.EventHandler, predicates ...predicate.Predicate) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, done := k.begun[name]; done {
		return nil
	}
	if err := k.controller.Watch(source.Kind(k.cache, example, wake, predicates...)); err != nil {
		return fmt.Errorf("watch kind %s: %w", name, err)
	}
	k.begun[name] = struct{}{}
	return nil
}

// NewArtifact passes sources whose artifact is another one than before.
func NewArtifact() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, after := artifactOf(e.ObjectOld), artifactOf(e.ObjectNew)
			return after != nil && (before == nil || before.Revision != after.Revision || before.Digest != after.Digest)
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

func artifactOf(obj client.Object) *fluxmeta.Artifact {
	if from, ok := obj.(sourcev1.Source); ok {
		return from.GetArtifact()
	}
	return nil
}
