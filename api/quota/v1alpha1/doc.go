// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is version v1alpha1 of the API group quota.weir.dev: the GPUQuota.
//
// A GPUQuota says how many devices of which class the pods of some namespaces may hold at a time. Quotas form trees: what
// a quota holds, its ancestors hold too.
//
// +kubebuilder:object:generate=true
// +groupName=quota.weir.dev
package v1alpha1
