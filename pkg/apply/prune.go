// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// PruneOptions of one prune.
type PruneOptions struct {
	// Client sends everything, as the tenant.
	Client *Client
	// Owner whose labels an object must carry to be deleted.
	Owner types.NamespacedName
}

// Prune deletes the objects of an inventory that are still the owner's and do
// not ask to be kept, the last stage first. It returns what it deleted and
// what is left of the inventory: the objects whose deletion failed.
func (e *Engine) Prune(ctx context.Context, stale inventory.Inventory, opts PruneOptions) (deleted []inventory.Ref, left inventory.Inventory, err error) {
	left = inventory.Inventory{}
	byStage := map[stage][]inventory.Ref{}
	for _, ref := range stale.Refs() {
		s := e.stageOf(ref.GroupKind())
		byStage[s] = append(byStage[s], ref)
	}
	var errs []error
	for _, s := range slices.Backward(stages) {
		refs := byStage[s]
		results := make([]error, len(refs))
		done := make([]bool, len(refs))
		var group errgroup.Group
		group.SetLimit(e.config.Concurrency)
		for i, ref := range refs {
			group.Go(func() error {
				done[i], results[i] = e.prune(ctx, ref, stale[ref], opts)
				return nil
			})
		}
		_ = group.Wait() // what goes wrong is in results
		for i, ref := range refs {
			switch {
			case results[i] != nil:
				left[ref] = stale[ref]
				errs = append(errs, results[i])
			case done[i]:
				deleted = append(deleted, ref)
			}
		}
	}
	return deleted, left, joinErrors(errs)
}

// prune deletes one object and reports whether it did.
func (e *Engine) prune(ctx context.Context, ref inventory.Ref, version string, opts PruneOptions) (bool, error) {
	live, err := e.doomed(ctx, ref, version, opts)
	if live == nil || err != nil {
		return false, err
	}
	err = opts.Client.deleteObject(ctx, live)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, nil // gone, or replaced by another object of that name
	}
	if err != nil {
		return false, &ObjectError{Ref: ref, Doing: "delete", Err: err}
	}
	return true, nil
}

// doomed returns the live object if it is to be deleted, and else nil. The live
// object has the last word: one that lost our labels belongs to somebody else
// by now.
func (e *Engine) doomed(ctx context.Context, ref inventory.Ref, version string, opts PruneOptions) (*unstructured.Unstructured, error) {
	live, err := opts.Client.Get(ctx, ref, version)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &ObjectError{Ref: ref, Doing: "delete", Err: err}
	}
	if !e.prunable(live, opts) || live.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	return live, nil
}

// Doomed is a live object that a prune would delete.
type Doomed struct {
	Ref inventory.Ref
	UID types.UID
}

// Doomed returns the objects of an inventory that Prune would delete now,
// sorted by ID, and deletes none. Each is read, as the tenant; the error names
// those that cannot be, up to five.
func (e *Engine) Doomed(ctx context.Context, stale inventory.Inventory, opts PruneOptions) ([]Doomed, error) {
	refs := stale.Refs()
	found := make([]*unstructured.Unstructured, len(refs))
	errs := make([]error, len(refs))
	var group errgroup.Group
	group.SetLimit(e.config.Concurrency)
	for i, ref := range refs {
		group.Go(func() error {
			found[i], errs[i] = e.doomed(ctx, ref, stale[ref], opts)
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is in errs
	var doomed []Doomed
	for i, ref := range refs {
		if found[i] != nil {
			doomed = append(doomed, Doomed{Ref: ref, UID: found[i].GetUID()})
		}
	}
	return doomed, joinErrors(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

// prunable reports whether a live object is the owner's and does not ask to be
// kept.
func (e *Engine) prunable(live *unstructured.Unstructured, opts PruneOptions) bool {
	labels := live.GetLabels()
	mine := labels[e.config.Watch.Labels.Name] == opts.Owner.Name && labels[e.config.Watch.Labels.Namespace] == opts.Owner.Namespace
	return mine && !watch.HasMark(live, e.config.Keys.keep()...)
}

// Terminating returns the objects of an inventory that are still the owner's
// and on their way out, sorted by their IDs. One that is gone is not, nor is one
// that was made anew under the same name, or that asks to be kept and is
// deleted by somebody else.
func (e *Engine) Terminating(ctx context.Context, inv inventory.Inventory, opts PruneOptions) ([]inventory.Ref, error) {
	refs := inv.Refs()
	going := make([]bool, len(refs))
	errs := make([]error, len(refs))
	var group errgroup.Group
	group.SetLimit(e.config.Concurrency)
	for i, ref := range refs {
		group.Go(func() error {
			live, err := opts.Client.Get(ctx, ref, inv[ref])
			switch {
			case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
			case err != nil:
				errs[i] = &ObjectError{Ref: ref, Doing: "read", Err: err}
			default:
				going[i] = live.GetDeletionTimestamp() != nil && e.prunable(live, opts)
			}
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is in errs
	left := make([]inventory.Ref, 0, len(refs))
	for i, ref := range refs {
		if going[i] {
			left = append(left, ref)
		}
	}
	return left, joinErrors(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

// Names lists objects: the first five, then how many more.
func Names(refs []inventory.Ref) string {
	errs := make([]error, len(refs))
	for i, ref := range refs {
		errs[i] = errors.New(ref.String())
	}
	return joinErrors(errs).Error()
}
