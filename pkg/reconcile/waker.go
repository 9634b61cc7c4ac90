// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Waker brings objects back for which work in the background has ended. It is
// connected by giving its Source to a controller; before that, nobody is woken
// and no work begins. The zero value is ready.
type Waker struct {
	begin atomic.Pointer[func(types.NamespacedName, func(context.Context))]
}

// Source connects the Waker to the queue of the controller that watches it.
func (w *Waker) Source() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		begin := func(name types.NamespacedName, work func(context.Context)) {
			if work == nil {
				queue.Add(ctrl.Request{NamespacedName: name})
				return
			}
			go func() {
				work(ctx)
				queue.Add(ctrl.Request{NamespacedName: name})
			}()
		}
		w.begin.Store(&begin)
		return nil
	})
}

// Wake has an object reconciled.
func (w *Waker) Wake(name types.NamespacedName) { w.Go(name, nil) }

// Go calls work in the background, with a context that ends with the
// controller, and has the object reconciled when it returns.
func (w *Waker) Go(name types.NamespacedName, work func(context.Context)) {
	if begin := w.begin.Load(); begin != nil {
		(*begin)(name, work)
	}
}
