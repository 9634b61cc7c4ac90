// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Waker brings objects back for which work in the background has ended. It is
// connected by giving its Source to a controller; before that, nobody is woken
// and no work begins. The zero value is ready.
type Waker struct {
	begun atomic.Pointer[begun]
}

// begun is a controller that runs.
type begun struct {
	queue workqueue.TypedRateLimitingInterface[ctrl.Request]
	// begin calls work in the background, as long as the controller runs.
	begin func(work func(context.Context))
}

// Source connects the Waker to the queue of the controller that watches it.
func (w *Waker) Source() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		w.begun.Store(&begun{queue, func(work func(context.Context)) { go work(ctx) }})
		return nil
	})
}

// Wake has an object reconciled.
func (w *Waker) Wake(name types.NamespacedName) { w.After(name, 0) }

// After has an object reconciled after the given time.
func (w *Waker) After(name types.NamespacedName, after time.Duration) {
	if b := w.begun.Load(); b != nil {
		b.queue.AddAfter(ctrl.Request{NamespacedName: name}, after)
	}
}

// Go calls work in the background, with a context that ends with the
// controller, and has the object reconciled when it returns.
func (w *Waker) Go(name types.NamespacedName, work func(context.Context)) {
	b := w.begun.Load()
	if b == nil {
		return
	}
	b.begin(func(ctx context.Context) {
		work(ctx)
		b.queue.Add(ctrl.Request{NamespacedName: name})
	})
}
