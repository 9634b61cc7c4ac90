// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

const reconcileAnnotation = fluxmeta.ReconcileRequestAnnotation

// Summary returns what Ready follows from Remediated, TestSuccess and Released:
// the first of them that is there for the newest generation. A remediated
// release is not ready. The status is Unknown, and the rest empty, if there is
// none of them.
func Summary(obj *helmv2.HelmRelease) (status metav1.ConditionStatus, reason, message string) {
	var first *metav1.Condition
	for _, name := range []string{helmv2.RemediatedCondition, helmv2.TestSuccessCondition, helmv2.ReleasedCondition} {
		if name == helmv2.TestSuccessCondition && (!obj.GetTest().Enable || obj.GetTest().IgnoreFailures) {
			continue
		}
		if c := conditions.Get(obj, name); c != nil && (first == nil || c.ObservedGeneration > first.ObservedGeneration) {
			first = c
		}
	}
	switch {
	case first == nil:
		return metav1.ConditionUnknown, "", ""
	case first.Type == helmv2.RemediatedCondition:
		return metav1.ConditionFalse, first.Reason, first.Message
	}
	return first.Status, first.Reason, first.Message
}

// Settle makes the status say what a state means, before Next: a release that
// is what is wanted is released, whatever was tried in between, and a release
// in sync has no failures and no more history than it needs.
func Settle(obj *helmv2.HelmRelease, s State) {
	if !obj.GetTest().Enable {
		conditions.Delete(obj, helmv2.TestSuccessCondition)
	}
	if s.Kind != InSync && s.Kind != Untested {
		return
	}
	current := latest(obj)
	remediated := conditions.Has(obj, helmv2.RemediatedCondition)
	conditions.Delete(obj, helmv2.RemediatedCondition)
	if remediated || !conditions.IsTrue(obj, helmv2.ReleasedCondition) {
		reason := helmv2.UpgradeSucceededReason
		if current.Action == helmv2.ReleaseActionInstall {
			reason = helmv2.InstallSucceededReason
		}
		markReleased(obj, reason, current)
	}
	if s.Kind == Untested {
		return
	}
	truncate(obj)
	clearFailures(obj)
	obj.Status.ObservedPostRenderersDigest = s.want.PostRenderersDigest
	obj.Status.ObservedCommonMetadataDigest = s.want.CommonMetadataDigest
}
