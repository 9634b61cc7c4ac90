// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// actionReconcile is what the controller was doing when it says something.
const actionReconcile = "Reconcile"

// tell says what has changed since the last status.
func (c *Controller) tell(s *scope) {
	was, is := conditionOf(s.before.Conditions, quotav1.ExceededCondition), conditions.Get(s.obj, quotav1.ExceededCondition)
	switch {
	case is == nil:
	case is.Status == metav1.ConditionTrue && (was == nil || was.Status != metav1.ConditionTrue):
		c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, is.Reason, actionReconcile, "%s", is.Message)
	case is.Status == metav1.ConditionFalse && was != nil && was.Status == metav1.ConditionTrue:
		c.Events.Eventf(s.obj, nil, corev1.EventTypeNormal, is.Reason, actionReconcile, "%s", is.Message)
	}
	ready := conditions.Get(s.obj, fluxmeta.ReadyCondition)
	if before := conditionOf(s.before.Conditions, fluxmeta.ReadyCondition); ready != nil && ready.Reason == quotav1.StraysReason && (before == nil || before.Reason != ready.Reason) {
		c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, ready.Reason, actionReconcile, "%s", ready.Message)
	}
}

// failed tells why the limits do not hold as the spec has them.
func (c *Controller) failed(s *scope, reason, message string) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, reason, actionReconcile, "%s", message)
}

func conditionOf(list []metav1.Condition, kind string) *metav1.Condition {
	for i := range list {
		if list[i].Type == kind {
			return &list[i]
		}
	}
	return nil
}
