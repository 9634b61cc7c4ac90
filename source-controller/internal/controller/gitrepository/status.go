// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/pkg/reconcile"
)

// finish turns the outcome of the phases into status, events and next run.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	revision := ""
	if s.obj.Status.Artifact != nil {
		revision = s.obj.Status.Artifact.Revision
	}
	result, finished := reconcile.Finish(s.obj, err,
		reconcile.Success{
			Reason:  fluxmeta.SucceededReason,
			Message: "stored artifact for revision '" + revision + "'",
			After:   c.Options.Jitter(s.obj.Spec.Interval.Duration),
		},
		reconcile.Policy{
			SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
			Failed:                func(reason, message string) { c.failed(s, reason, message) },
		})
	if err == nil {
		c.succeeded(s)
	}
	return result, finished
}

// progress shows what goes on now. An object that shows a failure keeps showing
// it until it is over: otherwise each retry would write its status twice.
func (s *scope) progress(ctx context.Context, message string) error {
	if !s.failing {
		reconcile.MarkProgressing(s.obj, fluxmeta.ProgressingReason, message)
	}
	return s.patcher.Status(ctx)
}

// isFailing reports whether the object shows a failure of an earlier run.
func isFailing(obj *sourcev1.GitRepository) bool {
	return conditions.IsTrue(obj, sourcev1.FetchFailedCondition) ||
		conditions.IsTrue(obj, sourcev1.StorageOperationFailedCondition)
}
