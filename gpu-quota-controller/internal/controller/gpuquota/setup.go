// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fluxcd/pkg/runtime/predicates"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	weirreconcile "github.com/weir-gitops/weir/pkg/reconcile"
)

// Waker brings quotas back of which something has changed. It is made before
// the controller, and is connected when the queue exists; what comes before that
// has nobody to wake.
type Waker struct {
	queue  atomic.Pointer[queue]
	before atomic.Pointer[view.State]
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Wake puts quotas into the queue.
func (w *Waker) Wake(quotas []string) {
	q := w.queue.Load()
	if q == nil {
		return
	}
	for _, name := range quotas {
		(*q).AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, settle)
	}
}

// settle is how long changes of one quota are collected.
const settle = 20 * time.Millisecond

// Planned wakes the quotas whose place in the trees, or whose namespaces, have
// changed.
func (w *Waker) Planned(state *view.State) {
	before := w.before.Swap(state)
	if before == nil {
		return
	}
	var quotas []string
	for _, root := range state.Forest.Roots() {
		for _, q := range state.Forest.Members(root) {
			if old := before.Forest.Quota(q.Name); old == nil || !samePlace(old, q) || before.Count[q.Name] != state.Count[q.Name] ||
				!slices.Equal(before.Overlaps[q.Name], state.Overlaps[q.Name]) || !slices.Equal(before.Forest.Dependents(q.Name), state.Forest.Dependents(q.Name)) {
				quotas = append(quotas, q.Name)
			}
		}
	}
	w.Wake(quotas)
}

func samePlace(a, b *tree.Quota) bool {
	problems := a.Problem == nil && b.Problem == nil || a.Problem != nil && b.Problem != nil && *a.Problem == *b.Problem
	return problems && a.UID == b.UID && a.Root == b.Root
}

// connect is the source that hands the queue over.
func (w *Waker) connect(_ context.Context, q queue) error {
	w.queue.Store(&q)
	return nil
}

// SetupWithManager registers the controller. Changes of status wake nobody.
func (c *Controller) SetupWithManager(mgr ctrl.Manager, waker *Waker, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("gpuquota").
		For(&quotav1.GPUQuota{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, weirreconcile.Restored()))).
		WatchesRawSource(source.Func(waker.connect)).
		WithOptions(options).
		Complete(c)
}
