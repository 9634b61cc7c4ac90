// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository

import (
	"context"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	ctrl "sigs.k8s.io/controller-runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// scope is what the phases of one reconcile share.
type scope struct {
	req ctrl.Request
	obj *imagev1.ImageRepository
	// before is the revision of the tags at the start.
	before string
	// failing: the object showed a failure at the start. unfinished: it showed
	// work.
	failing, unfinished bool
	// requested: somebody asked for this reconcile by annotation.
	requested bool

	// target, filled by target, is what to scan.
	target scan.Target
	// result, filled by scan, is what there is.
	result *scan.Result
}

func newScope(req ctrl.Request, obj *imagev1.ImageRepository, requested bool) *scope {
	s := &scope{
		req: req, obj: obj, requested: requested,
		failing:    conditions.IsFalse(obj, imagev1.ReadyCondition),
		unfinished: conditions.GetReason(obj, imagev1.ReconcilingCondition) == fluxmeta.ProgressingReason,
	}
	if obj.Status.LastScanResult != nil {
		s.before = obj.Status.LastScanResult.Revision
	}
	return s
}

// owner is how the scanner knows an object, and a round of it: what one round
// was served is no answer to the next.
func owner(req ctrl.Request, round int) string {
	return fmt.Sprintf("%s/%s#%d", imagev1.ImageRepositoryKind, req, round)
}

// announce shows that there is something new to work on.
func (c *Controller) announce(_ context.Context, s *scope) error {
	reconcile.Announce(s.obj, s.obj.Status.ObservedGeneration, s.requested)
	return nil
}
