// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Foresee returns what it would change of what is asked for in devices if the
// objects after took the place of the objects before, and writes nothing. Only
// objects that ask for devices, or asked for them, cost requests: a dry-run each.
// Where the API server refuses one, what is written in the object counts; that it
// is refused will show when it is applied.
func (e *Engine) Foresee(ctx context.Context, set *Set, before, after []*unstructured.Unstructured, opts Options) (gate.Change, error) {
	asked := inventory.Inventory{}
	for _, obj := range before {
		if e.asks(obj) {
			asked[inventory.RefOf(obj)] = obj.GroupVersionKind().Version
		}
	}
	var concerned, rest []*unstructured.Unstructured
	kept := inventory.Inventory{}
	for _, obj := range after {
		ref := inventory.RefOf(obj)
		kept[ref] = obj.GroupVersionKind().Version
		if _, before := asked[ref]; before || e.asks(obj) {
			concerned = append(concerned, obj)
		} else {
			rest = append(rest, obj)
		}
	}
	opts.Stale = asked.Minus(kept)
	if len(concerned) == 0 && len(opts.Stale) == 0 {
		return gate.Change{}, nil
	}
	desired, err := Prepare(concerned, set.owner, e.config.Watch.Labels, e.config.Keys)
	if err != nil {
		return gate.Change{}, err
	}
	p := e.newPlanner(set, desired, &opts)
	steps := make([]*step, 0, len(after))
	for _, d := range desired {
		steps = append(steps, &step{Desired: d})
	}
	for i, refusal := range p.judgeAll(ctx, steps) {
		if refusal != nil {
			steps[i].action, steps[i].demand = Deferred, demand{unread: true}
		}
	}
	// Autoscalers ask for nothing themselves, and say how many others do.
	for _, obj := range rest {
		steps = append(steps, &step{Desired: &Desired{Ref: inventory.RefOf(obj), GVK: obj.GroupVersionKind(), Object: obj}, action: Deferred})
	}
	return p.change(ctx, steps)
}

func (e *Engine) asks(obj *unstructured.Unstructured) bool {
	return quotaKind(obj.GroupVersionKind().GroupKind()) || !e.pool.Demand(obj).IsZero()
}
