// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package v1 is version v1 of the API group kustomize.toolkit.fluxcd.io: the Kustomization.
//
// A Kustomization says which directory of which source becomes which objects in the cluster. The kind is Flux's: its
// fields, their meaning and their validation are those of Flux, and what Weir adds is under spec.weir and status.weir.
//
// +kubebuilder:object:generate=true
// +groupName=kustomize.toolkit.fluxcd.io
package v1
