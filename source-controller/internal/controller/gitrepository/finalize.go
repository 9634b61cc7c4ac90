// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// finalize removes the artifacts of an object that is being deleted. Nothing
// else holds the object: artifacts can be built again, so this is right for an
// uninstall too.
func (c *Controller) finalize(ctx context.Context, obj *sourcev1.GitRepository) error {
	found, err := c.Storage.RemoveAll(ownerOf(obj))
	if err != nil {
		err = fmt.Errorf("garbage collection for deleted resource failed: %w", err)
		c.collectFailed(ctx, obj, err)
		return err
	}
	if found {
		c.removed(obj)
	}
	return nil
}
