// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Waker brings HelmReleases back whose objects have changed, whose actions have
// ended, or who may try again. It is made before the controller, because what
// wakes needs it. The zero value is ready for use.
type Waker struct {
	reconcile.Waker

	mu    sync.Mutex
	again map[types.NamespacedName]struct{}
}

// Again has a HelmRelease try at once what it waits to try again.
func (w *Waker) Again(name types.NamespacedName) {
	w.mu.Lock()
	if w.again == nil {
		w.again = map[types.NamespacedName]struct{}{}
	}
	w.again[name] = struct{}{}
	w.mu.Unlock()
	w.Wake(name)
}

// takeAgain reports whether Again was called since it was last asked.
func (w *Waker) takeAgain(name types.NamespacedName) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, again := w.again[name]
	delete(w.again, name)
	return again
}
