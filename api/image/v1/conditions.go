// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
)

// Types of conditions.
const (
	// ReadyCondition is True when the last run did all that it had to.
	ReadyCondition = fluxmeta.ReadyCondition

	// ReconcilingCondition is present, and True, while work is under way or waits to be tried again.
	ReconcilingCondition = fluxmeta.ReconcilingCondition

	// StalledCondition is present, and True, when nothing can help but an edit by somebody.
	StalledCondition = fluxmeta.StalledCondition

	// HeldCondition of an ImageUpdateAutomation is present, and True, while a newer candidate is kept out of Git. The
	// message names image, candidate, gate and value. Holding is no failure: Ready stays True.
	HeldCondition = "Held"
)

// Reasons of Ready, Reconciling and Stalled that Flux has too.
const (
	// SucceededReason goes with Ready=True.
	SucceededReason = fluxmeta.SucceededReason

	// ImageURLInvalidReason goes with Stalled: spec.image is not the name of an image repository.
	ImageURLInvalidReason = "ImageURLInvalid"

	// AuthenticationFailedReason goes with Ready=False: the credentials are missing, unusable or not accepted.
	AuthenticationFailedReason = "AuthenticationFailed"

	// ReadOperationFailedReason goes with Ready=False: the registry could not be read.
	ReadOperationFailedReason = "ReadOperationFailed"

	// IntervalNotConfiguredReason goes with Stalled: digests are to be followed, and nothing says how often.
	IntervalNotConfiguredReason = "IntervalNotConfigured"

	// InvalidPolicyReason goes with Stalled: the policy, the filter or a pattern cannot be used.
	InvalidPolicyReason = "InvalidPolicy"

	// DependencyNotReadyReason goes with Ready=False: the ImageRepository does not exist or was not scanned yet.
	DependencyNotReadyReason = fluxmeta.DependencyNotReadyReason

	// AccessDeniedReason goes with Stalled: the reference leads to a namespace that does not permit it.
	AccessDeniedReason = "AccessDenied"

	// InvalidUpdateStrategyReason goes with Stalled: spec.update.strategy is not Setters.
	InvalidUpdateStrategyReason = "InvalidUpdateStrategy"

	// InvalidSourceConfigReason goes with Stalled: spec.sourceRef and spec.git do not say where to commit.
	InvalidSourceConfigReason = "InvalidSourceConfiguration"

	// SourceManagerFailedReason goes with Ready=False: the source, or its credentials, could not be read.
	SourceManagerFailedReason = "SourceManagerFailed"

	// GitOperationFailedReason goes with Ready=False: fetching, committing or pushing failed.
	GitOperationFailedReason = "GitOperationFailed"

	// UpdateFailedReason goes with Ready=False: the files could not be updated.
	UpdateFailedReason = "UpdateFailed"

	// InvalidPolicySelectorReason goes with Stalled: spec.policySelector is not a selector.
	InvalidPolicySelectorReason = "InvalidPolicySelector"

	// RemovedTemplateFieldReason goes with Stalled: spec.git.commit.messageTemplate uses a field that no longer exists.
	RemovedTemplateFieldReason = "RemovedTemplateField"
)

// Reasons that only Weir has.
const (
	// UnsupportedFieldReason goes with Stalled: the spec uses a field that this version does not act on.
	UnsupportedFieldReason = "UnsupportedField"

	// InvalidSpecReason goes with Stalled: something under spec.weir cannot be used; the message has its path.
	InvalidSpecReason = "InvalidSpec"

	// DigestRequiredReason goes with Stalled: an image is judged by its digest, and what would be written does not pin it.
	DigestRequiredReason = "DigestRequired"

	// BranchModifiedReason goes with Stalled: somebody else committed to the branch of the pull request.
	BranchModifiedReason = "BranchModified"

	// WriteConflictReason goes with Stalled: another writer changes the same field back; the message names both.
	WriteConflictReason = "WriteConflict"

	// PullRequestFailedReason goes with Ready=False: the commit is pushed and the forge refused the pull request.
	PullRequestFailedReason = "PullRequestFailed"
)

// Reasons of the condition Held, and of status.weir.images[].held[].
const (
	// GateFailedReason: the expression of a gate is false, or could not be evaluated.
	GateFailedReason = "GateFailed"

	// NoBaselineReason: a gate compares with a baseline and there is none.
	NoBaselineReason = "NoBaseline"

	// SignatureReason: no signature of the candidate's digest verifies with the keys.
	SignatureReason = "SignatureInvalid"

	// TooYoungReason: the candidate was first seen less than minAge ago.
	TooYoungReason = "TooYoung"

	// OutsideWindowReason: no window for changes is open.
	OutsideWindowReason = "OutsideWindow"

	// RejectedReason: somebody took the candidate, or one that ranks above it, out of Git.
	RejectedReason = "Rejected"

	// UnreadableReason: the manifest or the config of the candidate could not be read.
	UnreadableReason = "Unreadable"

	// PullRequestClosedReason: somebody closed the pull request with this candidate without merging it.
	PullRequestClosedReason = "PullRequestClosed"
)
