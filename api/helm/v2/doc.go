// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package v2 is version v2 of the API group helm.toolkit.fluxcd.io: the HelmRelease.
//
// A HelmRelease says which chart, with which values, is which release in the cluster. The kind is Flux's: its fields,
// their meaning and their validation are those of Flux, and what Weir adds is under spec.weir and status.weir.
//
// +kubebuilder:object:generate=true
// +groupName=helm.toolkit.fluxcd.io
package v2
