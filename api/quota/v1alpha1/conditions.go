// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Conditions of a GPUQuota, beside Ready, Reconciling and Stalled.
const (
	// ExceededCondition is True while more is held than a limit allows, as after a limit was lowered. Nothing is evicted.
	ExceededCondition = "Exceeded"
	// OverlappingCondition is True while the quota selects namespaces that belong to an older quota.
	OverlappingCondition = "Overlapping"
	// UnknownDeviceCondition is True while pods of the quota ask for devices that no class of its tree counts, or a
	// limit names a class that the tree does not have.
	UnknownDeviceCondition = "UnknownDevice"
)

// Reasons of the conditions of a GPUQuota.
const (
	// EnforcedReason: the limits hold.
	EnforcedReason = "Enforced"
	// WarnOnlyReason: pods over a limit are admitted with a warning, as the spec asks.
	WarnOnlyReason = "WarnOnly"
	// NotEnforcedReason: use is counted and nothing is denied, as the spec asks.
	NotEnforcedReason = "NotEnforced"
	// SuspendedReason: use is counted and nothing is denied, since spec.suspend is set.
	SuspendedReason = "Suspended"
	// CountingReason: what is held has not been counted yet. Until then nothing new is admitted.
	CountingReason = "Counting"
	// InvalidSpecReason: the spec cannot be used; the last valid one holds.
	InvalidSpecReason = "InvalidSpec"
	// ParentNotFoundReason: the parent does not exist; the quota's own limits hold.
	ParentNotFoundReason = "ParentNotFound"
	// CycleReason: the quota is its own ancestor; the last valid tree holds.
	CycleReason = "Cycle"
	// TooDeepReason: the quota has more than four ancestors; the last valid tree holds.
	TooDeepReason = "TooDeep"
	// HasChildrenReason: the quota is to be deleted and other quotas name it as their parent.
	HasChildrenReason = "HasChildren"
	// LedgerFailedReason: the ledger of the tree cannot be read or written; nothing new is admitted.
	LedgerFailedReason = "LedgerFailed"
	// WebhookFailedReason: the webhook that enforces the limits is not in place.
	WebhookFailedReason = "WebhookFailed"
	// OverLimitReason: more is held than a limit allows.
	OverLimitReason = "OverLimit"
	// WithinLimitsReason: no more is held than every limit allows.
	WithinLimitsReason = "WithinLimits"
	// OlderQuotaReason: namespaces that the quota selects belong to an older one.
	OlderQuotaReason = "OlderQuota"
	// NoClassReason: pods ask for devices that no class counts.
	NoClassReason = "NoClass"
	// NoSuchClassReason: a limit names a class that the tree does not have.
	NoSuchClassReason = "NoSuchClass"
	// StraysReason: many reservations come to nothing, because something rejects the pods after they were admitted.
	StraysReason = "Strays"
)
