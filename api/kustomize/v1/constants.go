// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

// Names under which the controller appears in the cluster.
const (
	// Finalizer is on every Kustomization that the controller has taken charge of.
	Finalizer = "finalizers.fluxcd.io"

	// FieldManager owns the fields of applied objects.
	FieldManager = "kustomize-controller"

	// StatusFieldManager owns the status and the finalizer of Kustomizations.
	StatusFieldManager = "gotk-kustomize-controller"

	// MaxMessageLength is the length in bytes to which the message of a condition is cut.
	MaxMessageLength = 20000
)

// Values of spec.deletionPolicy.
const (
	// DeletionPolicyMirrorPrune deletes the applied objects if spec.prune is true.
	DeletionPolicyMirrorPrune = "MirrorPrune"

	// DeletionPolicyDelete deletes the applied objects.
	DeletionPolicyDelete = "Delete"

	// DeletionPolicyWaitForTermination deletes the applied objects and waits until they are gone.
	DeletionPolicyWaitForTermination = "WaitForTermination"

	// DeletionPolicyOrphan leaves the applied objects in the cluster.
	DeletionPolicyOrphan = "Orphan"
)

// Labels that the controller puts on every object that it applies. An object without them is never pruned.
const (
	// OwnerNameLabel holds the name of the Kustomization.
	OwnerNameLabel = "kustomize.toolkit.fluxcd.io/name"

	// OwnerNamespaceLabel holds the namespace of the Kustomization.
	OwnerNamespaceLabel = "kustomize.toolkit.fluxcd.io/namespace"
)

// Keys with which an object that is applied says how it wants to be treated. All but DecryptAnnotation may be given as a
// label as well. Values are compared without regard to case, but for SubstituteAnnotation.
const (
	// ReconcileAnnotation with DisabledValue keeps the controller from applying and pruning the object.
	ReconcileAnnotation = "kustomize.toolkit.fluxcd.io/reconcile"

	// PruneAnnotation with DisabledValue, on the live object, keeps the controller from deleting it.
	PruneAnnotation = "kustomize.toolkit.fluxcd.io/prune"

	// SSAAnnotation says how to apply: OverrideValue, MergeValue, IfNotPresentValue or IgnoreValue.
	SSAAnnotation = "kustomize.toolkit.fluxcd.io/ssa"

	// ForceAnnotation with EnabledValue deletes and creates the object anew when a change meets an immutable field.
	ForceAnnotation = "kustomize.toolkit.fluxcd.io/force"

	// SubstituteAnnotation with DisabledValue keeps variables from being substituted in the object.
	SubstituteAnnotation = "kustomize.toolkit.fluxcd.io/substitute"

	// DecryptAnnotation with DisabledValue keeps the object from being decrypted.
	DecryptAnnotation = "kustomize.toolkit.fluxcd.io/decrypt"
)

// Values of the keys above.
const (
	// EnabledValue turns a behaviour on.
	EnabledValue = "enabled"

	// DisabledValue turns a behaviour off.
	DisabledValue = "disabled"

	// OverrideValue applies the object and takes its fields over from clients such as kubectl. It is the default.
	OverrideValue = "Override"

	// MergeValue applies the object and leaves fields that others have set and the source does not name.
	MergeValue = "Merge"

	// IfNotPresentValue creates the object if it does not exist, and leaves it alone otherwise.
	IfNotPresentValue = "IfNotPresent"

	// IgnoreValue neither applies nor prunes the object.
	IgnoreValue = "Ignore"
)

// Keys left on objects by earlier tools, removed when the object is applied.
const (
	// LegacyChecksumAnnotation was the ownership mark of the first kustomize-controller.
	LegacyChecksumAnnotation = "kustomize.toolkit.fluxcd.io/checksum"

	// LegacySyncChecksumAnnotation was the checksum of Flux 1.
	LegacySyncChecksumAnnotation = "fluxcd.io/sync-checksum"

	// LegacySyncMarkLabel was the garbage collection mark of Flux 1.
	LegacySyncMarkLabel = "fluxcd.io/sync-gc-mark"
)
