// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

const (
	// GPUQuotaKind is the kind of a GPUQuota.
	GPUQuotaKind = "GPUQuota"
	// GPUQuotaCRD is the name of its definition.
	GPUQuotaCRD = "gpuquotas.quota.weir.dev"
	// Finalizer keeps a quota that has children until they are gone.
	Finalizer = "quota.weir.dev/finalizer"
	// LabelPrefix is what the keys of namespace labels begin with that a quota may select by: who may set those decides
	// which budget a namespace draws on.
	LabelPrefix = "quota.weir.dev/"
	// RetryAnnotation is set on a workload whose pods were denied when there is room for them again, so that its
	// controller tries at once instead of after its back-off.
	RetryAnnotation = "quota.weir.dev/retry"
	// MaxDepth is how many quotas a path from a root to a leaf may have.
	MaxDepth = 5
	// DefaultDevice is the class of quotas whose root names none: every GPU that is known counts as one of it.
	DefaultDevice = "gpu"
)
