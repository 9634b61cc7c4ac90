// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/recount"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// scope is what the phases of one reconcile share.
type scope struct {
	obj     *quotav1.GPUQuota
	patcher *reconcile.Patcher
	// before is the status that the object had at the start.
	before *quotav1.GPUQuotaStatus

	// state, quota and problem, filled by place, are the place of the quota in
	// its tree. The quota is nil if it was never valid.
	state   *view.State
	quota   *tree.Quota
	problem *tree.Problem
	// latest, filled by figure, is the last count of the tree.
	latest *recount.Latest
}

func newScope(obj *quotav1.GPUQuota, patcher *reconcile.Patcher) *scope {
	return &scope{obj: obj, patcher: patcher, before: obj.Status.DeepCopy()}
}
