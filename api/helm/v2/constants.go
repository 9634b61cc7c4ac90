// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
)

const (
	// Finalizer keeps a HelmRelease until its release is uninstalled.
	Finalizer = "finalizers.fluxcd.io"

	// FieldManager owns what the controller applies, and what Helm's three-way merge writes.
	FieldManager = "helm-controller"

	// StatusFieldManager owns the status.
	StatusFieldManager = "helm-controller"
)

// Annotations with which a HelmRelease is asked to do something, each with a token as its value.
const (
	// ForceAnnotation upgrades once although nothing has changed, if its value is that of the reconcile annotation.
	ForceAnnotation = fluxmeta.ForceRequestAnnotation

	// ResetAnnotation resets the failure counters, if its value is that of the reconcile annotation.
	ResetAnnotation = "reconcile.fluxcd.io/resetAt"
)

// Labels that the controller puts on every object of a release, and on the source that it makes.
const (
	// OwnerNameLabel holds the name of the HelmRelease.
	OwnerNameLabel = "helm.toolkit.fluxcd.io/name"

	// OwnerNamespaceLabel holds the namespace of the HelmRelease.
	OwnerNamespaceLabel = "helm.toolkit.fluxcd.io/namespace"
)

const (
	// DriftDetectionAnnotation with DisabledValue, as an annotation or a label, leaves drift of that object alone.
	DriftDetectionAnnotation = "helm.toolkit.fluxcd.io/driftDetection"

	// DisabledValue turns a behaviour off.
	DisabledValue = "disabled"
)
