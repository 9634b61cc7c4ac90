// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const (
	// terminationPoll is how often deleted objects are looked for. The watch
	// tells sooner, of objects that this process has applied.
	terminationPoll = 2 * time.Second
	// quietTermination is how long a wait for them goes unmentioned.
	quietTermination = 5 * time.Second
)

// awaitTermination has the Kustomization looked at again while objects that
// were deleted with it are still there. The time runs from the deletion of the
// Kustomization, which every process knows.
func (c *Controller) awaitTermination(ctx context.Context, s *scope) error {
	left, err := s.engine.Terminating(ctx, s.memory.terminating, apply.PruneOptions{Client: s.client, Owner: s.owner()})
	if err != nil {
		return fmt.Errorf("wait for the deleted objects to be gone: %w", err)
	}
	if len(left) == 0 {
		return nil
	}
	waited := s.now.Sub(s.obj.DeletionTimestamp.Time)
	timeout := s.obj.GetTimeout()
	if waited >= timeout {
		// As in Flux, the wait has a limit and the deletion goes on.
		c.event(s, corev1.EventTypeWarning, kustomizev1.PruneFailedReason, "objects still terminating: "+apply.Names(left))
		return nil
	}
	versions := s.memory.terminating
	s.memory.terminating = make(inventory.Inventory, len(left))
	for _, ref := range left {
		s.memory.terminating[ref] = versions[ref]
	}
	if waited >= quietTermination {
		reconcile.MarkProgressing(s.obj, kustomizev1.ProgressingReason, "Waiting for deleted objects to be gone: "+apply.Names(left))
	}
	s.recheckIn(min(terminationPoll, timeout-waited))
	return nil
}
