// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package v1 is version v1 of the API group image.toolkit.fluxcd.io: ImageUpdateAutomation, ImageRepository and
// ImagePolicy.
//
// An ImageUpdateAutomation commits new image references to Git. The kinds are Flux's: their fields, their meaning and
// their validation are those of Flux, and what Weir adds is under spec.weir and status.weir of the
// ImageUpdateAutomation.
//
// +kubebuilder:object:generate=true
// +groupName=image.toolkit.fluxcd.io
package v1
