// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// finalize removes the artifacts of an object that is being deleted, and then
// the finalizer. Nothing else holds the object: artifacts can be built again,
// so this is right for an uninstall too.
func (c *Controller) finalize(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.obj, sourcev1.SourceFinalizer) {
		return ctrl.Result{}, nil
	}
	found, err := c.Storage.RemoveAll(s.owner())
	if err != nil {
		err = fmt.Errorf("garbage collection for deleted resource failed: %w", err)
		c.collectFailed(ctx, s, err)
		return ctrl.Result{}, err
	}
	if found {
		c.removed(s)
	}
	controllerutil.RemoveFinalizer(s.obj, sourcev1.SourceFinalizer)
	if err := s.patcher.Metadata(ctx); err != nil {
		return ctrl.Result{}, err
	}
	c.Store.Forget(s.obj.UID)
	return ctrl.Result{}, nil
}
