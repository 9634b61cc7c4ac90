// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

const (
	// Finalizer is on every object of the group that the controller has taken charge of.
	Finalizer = "finalizers.fluxcd.io"

	// FieldManager owns the status and the finalizers that the controller writes.
	FieldManager = "image-automation-controller"

	// ApproveAnnotation on an ImageUpdateAutomation lets candidates pass gates that found no baseline to compare with. Its
	// value is a list, with commas, of what the condition Held prints: <image>@<digest>, where <image> is the name of an
	// entry of spec.weir.images. An approval is good for that digest and no other.
	ApproveAnnotation = "weir.dev/approve"

	// UnrejectAnnotation on an ImageUpdateAutomation makes rejected candidates acceptable again. Its value is a list, with
	// commas, of what the condition Held prints: <image>@<digest>, or <image>:<tag> where Git holds no digest.
	UnrejectAnnotation = "weir.dev/unreject"

	// ReconcileRequestAnnotation is what Flux and Weir look at for reconciliation on demand.
	ReconcileRequestAnnotation = "reconcile.fluxcd.io/requestedAt"

	// DefaultExclusion is the pattern of tags that are never looked at unless exclusionList says otherwise.
	DefaultExclusion = "^.*\\.sig$"
)

// Bounds of what a status keeps for one image.
const (
	// MaxSeen is how many digests keep the time at which they were first seen.
	MaxSeen = 100

	// MaxRejected is how many rejected candidates are listed.
	MaxRejected = 10

	// MaxHeld is how many held candidates are listed, the highest first.
	MaxHeld = 5
)
