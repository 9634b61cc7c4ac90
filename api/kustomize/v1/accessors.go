// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// minTimeout is the least time that a reconciliation is given, and what is kept back of the interval by default.
const minTimeout = 30 * time.Second

// GetConditions returns the conditions of the status.
func (k *Kustomization) GetConditions() []metav1.Condition {
	return k.Status.Conditions
}

// SetConditions replaces the conditions of the status.
func (k *Kustomization) SetConditions(conditions []metav1.Condition) {
	k.Status.Conditions = conditions
}

// GetLastHandledReconcileRequest returns the token of the last request that was handled.
func (k *Kustomization) GetLastHandledReconcileRequest() string {
	return k.Status.GetLastHandledReconcileRequest()
}

// SetLastHandledReconcileRequest records the token of a request that was handled.
func (k *Kustomization) SetLastHandledReconcileRequest(token string) {
	k.Status.SetLastHandledReconcileRequest(token)
}

// GetTimeout returns how long building, applying and health checks may take together: spec.timeout, or else the interval
// less 30 seconds, and never less than 30 seconds.
func (k *Kustomization) GetTimeout() time.Duration {
	timeout := k.Spec.Interval.Duration - minTimeout
	if k.Spec.Timeout != nil {
		timeout = k.Spec.Timeout.Duration
	}
	return max(timeout, minTimeout)
}

// GetRequeueAfter returns the interval.
func (k *Kustomization) GetRequeueAfter() time.Duration {
	return k.Spec.Interval.Duration
}

// GetRetryInterval returns the time from a failure to the next attempt: spec.retryInterval, or else the interval.
func (k *Kustomization) GetRetryInterval() time.Duration {
	if k.Spec.RetryInterval != nil {
		return k.Spec.RetryInterval.Duration
	}
	return k.GetRequeueAfter()
}

// GetDeletionPolicy returns spec.deletionPolicy, or else DeletionPolicyMirrorPrune.
func (k *Kustomization) GetDeletionPolicy() string {
	if k.Spec.DeletionPolicy == "" {
		return DeletionPolicyMirrorPrune
	}
	return k.Spec.DeletionPolicy
}

// GetDependsOn returns the dependencies as they are written. An empty namespace stands for that of the Kustomization.
func (k *Kustomization) GetDependsOn() []meta.DependencyReference {
	return k.Spec.DependsOn
}

// GetSubstituteStrategy returns the strategy of spec.postBuild, or else SubstituteStrategyWithVariables.
func (k *Kustomization) GetSubstituteStrategy() SubstituteStrategy {
	if k.Spec.PostBuild == nil || k.Spec.PostBuild.SubstituteStrategy == "" {
		return SubstituteStrategyWithVariables
	}
	return k.Spec.PostBuild.SubstituteStrategy
}

// GetSourceNamespace returns the namespace of the source: that of the reference, or else that of the Kustomization.
func (k *Kustomization) GetSourceNamespace() string {
	if k.Spec.SourceRef.Namespace != "" {
		return k.Spec.SourceRef.Namespace
	}
	return k.Namespace
}
