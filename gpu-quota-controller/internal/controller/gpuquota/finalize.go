// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// finalize lets go of a quota that is being deleted as soon as no other names
// it as its parent. Its ledger goes with its tree.
func (c *Controller) finalize(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.obj, quotav1.Finalizer) {
		return ctrl.Result{}, nil
	}
	children, err := c.children(ctx, s.obj.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(children) > 0 {
		return c.finish(s, reconcile.Wait(0, quotav1.HasChildrenReason,
			fmt.Errorf("it is deleted when no other quota has it as its parent: delete %s, or change their parentRef", quoted(children))))
	}
	controllerutil.RemoveFinalizer(s.obj, quotav1.Finalizer)
	if err := s.patcher.Metadata(ctx); err != nil {
		return ctrl.Result{}, err
	}
	c.Store.Forget(s.obj.UID)
	c.Figures.forget(s.obj.Name)
	c.mu.Lock()
	delete(c.written, s.obj.Name)
	c.mu.Unlock()
	return ctrl.Result{}, nil
}

// children returns the quotas that name one as their parent. When the cache
// knows none, the API server is asked.
func (c *Controller) children(ctx context.Context, name string) ([]string, error) {
	if state := c.State(); state != nil {
		if children := state.Forest.Dependents(name); len(children) > 0 {
			return children, nil
		}
	}
	var list quotav1.GPUQuotaList
	if err := c.Live.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("look for quotas below GPUQuota %q: %w", name, err)
	}
	var children []string
	for i := range list.Items {
		if ref := list.Items[i].Spec.ParentRef; ref != nil && ref.Name == name && list.Items[i].Name != name {
			children = append(children, list.Items[i].Name)
		}
	}
	return children, nil
}
