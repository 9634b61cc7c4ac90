// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
)

// Conditions.
const (
	// ReadyCondition is True if the chart and the values of the spec are released and well.
	ReadyCondition = fluxmeta.ReadyCondition

	// ReleasedCondition tells how the last install, upgrade, rollback or uninstall ended.
	ReleasedCondition = "Released"

	// TestSuccessCondition tells how the tests of the latest release ended.
	TestSuccessCondition = "TestSuccess"

	// RemediatedCondition tells how the last failure was undone.
	RemediatedCondition = "Remediated"

	// DriftedCondition is True while objects of the release differ from it and are left so.
	DriftedCondition = "Drifted"
)

// Reasons that Flux has too.
const (
	// InstallSucceededReason goes with Released and Ready: the chart is installed.
	InstallSucceededReason = "InstallSucceeded"

	// InstallFailedReason goes with Released and Ready: the install failed. The message names the objects at fault.
	InstallFailedReason = "InstallFailed"

	// UpgradeSucceededReason goes with Released and Ready: the release is upgraded.
	UpgradeSucceededReason = "UpgradeSucceeded"

	// UpgradeFailedReason goes with Released and Ready: the upgrade failed. The message names the objects at fault.
	UpgradeFailedReason = "UpgradeFailed"

	// TestSucceededReason goes with TestSuccess and Ready: the tests of the chart passed.
	TestSucceededReason = "TestSucceeded"

	// TestFailedReason goes with TestSuccess and Ready: tests of the chart failed. The message names them.
	TestFailedReason = "TestFailed"

	// RollbackSucceededReason goes with Remediated: a failed upgrade was rolled back.
	RollbackSucceededReason = "RollbackSucceeded"

	// RollbackFailedReason goes with Remediated and Ready: the rollback of a failed upgrade failed too.
	RollbackFailedReason = "RollbackFailed"

	// UninstallSucceededReason goes with Remediated, or with Released when the release had to make place for another one.
	UninstallSucceededReason = "UninstallSucceeded"

	// UninstallFailedReason goes with Remediated, Released and Ready: the release could not be uninstalled.
	UninstallFailedReason = "UninstallFailed"

	// ArtifactFailedReason goes with Ready=False: the chart could not be fetched or read.
	ArtifactFailedReason = fluxmeta.ArtifactFailedReason

	// SourceNotReadyReason goes with Ready=False: the source has no artifact of the chart for its present spec.
	SourceNotReadyReason = "SourceNotReady"

	// DependencyNotReadyReason goes with Ready=False: something that the spec depends on is not ready.
	DependencyNotReadyReason = fluxmeta.DependencyNotReadyReason

	// ValuesErrorReason goes with Ready=False: the values could not be read or merged. The message names the reference.
	ValuesErrorReason = "ValuesError"

	// AccessDeniedReason goes with Stalled: the spec refers to another namespace and the controller forbids that.
	AccessDeniedReason = "AccessDenied"

	// InvalidCELExpressionReason goes with Stalled: an expression of the spec does not compile.
	InvalidCELExpressionReason = fluxmeta.InvalidCELExpressionReason

	// HealthCheckCanceledReason is that of an event: something newer came before the objects were well.
	HealthCheckCanceledReason = fluxmeta.HealthCheckCanceledReason

	// RetriesExceededReason goes with Stalled: the action failed more often than spec allows. A new chart, new values, a new
	// spec or a reset begins anew.
	RetriesExceededReason = "RetriesExceeded"

	// MissingRollbackTargetReason goes with Stalled: there is no release to roll back to. A new chart, new values, a new
	// spec or a reset begins anew.
	MissingRollbackTargetReason = "MissingRollbackTarget"

	// PendingReleaseReason goes with the event and the condition of a release that was found locked by an action that no
	// longer runs, and was unlocked.
	PendingReleaseReason = "PendingRelease"

	// AwaitingTestsReason goes with Ready=Unknown: the release is there, and its tests are yet to run.
	AwaitingTestsReason = "AwaitingTests"

	// StateErrorReason goes with Ready=False: the release could not be read from Helm's storage.
	StateErrorReason = "StateError"

	// ChartMutateErrorReason goes with Ready=False: the version of the chart could not be completed with the digest of its
	// artifact.
	ChartMutateErrorReason = "ChartMutateError"

	// RESTClientErrorReason goes with Ready=False: the cluster to release to cannot be reached.
	RESTClientErrorReason = "RESTClientError"

	// DriftDetectedReason goes with Drifted and an event: somebody has changed objects of the release.
	DriftDetectedReason = "DriftDetected"

	// NoDriftDetectedReason goes with Drifted=False: the objects are as released again.
	NoDriftDetectedReason = "NoDriftDetected"

	// DriftCorrectedReason goes with the event that tells of objects that were changed and have been set back.
	DriftCorrectedReason = "DriftCorrected"

	// DriftCorrectionFailedReason goes with the event that tells of objects that could not be set back.
	DriftCorrectionFailedReason = "DriftCorrectionFailed"
)

// Reasons of events about the source that the controller makes.
const (
	// HelmChartCreatedReason tells that it was made.
	HelmChartCreatedReason = "HelmChartCreated"

	// HelmChartConfiguredReason tells that it was changed.
	HelmChartConfiguredReason = "HelmChartConfigured"

	// HelmChartDeletedReason tells that it was deleted.
	HelmChartDeletedReason = "HelmChartDeleted"

	// HelmChartSyncErrorReason tells that none of these could be done.
	HelmChartSyncErrorReason = "HelmChartSyncErr"
)

// Reasons that only Weir has; those about GPUs are as for Kustomizations.
const (
	// UnsupportedFieldReason goes with Stalled: the spec sets a field that this version of the controller does not
	// implement. The message names the field.
	UnsupportedFieldReason = "UnsupportedField"

	// DependencyCycleReason goes with Stalled: the HelmRelease depends, directly or not, on itself. The message names the
	// cycle.
	DependencyCycleReason = "DependencyCycle"

	// InvalidIgnoreRuleReason goes with Stalled: a path or a target of spec.driftDetection.ignore cannot be read. The
	// message names it.
	InvalidIgnoreRuleReason = "InvalidIgnoreRule"

	// FieldContestedReason goes with Drifted: somebody sets a field again and again that the chart sets as well. It is set
	// back at every interval, and no longer at once.
	FieldContestedReason = "FieldContested"

	// PlannedReason goes with Ready=True: spec.weir.mode is Plan, and status.weir.plan tells what a release would change.
	PlannedReason = "Planned"

	// GPUQuotaExceededReason goes with Ready=False: the release asks for more devices than are free, so nothing of it is
	// applied. The message has the numbers. It is released when there is room, in its turn.
	GPUQuotaExceededReason = "GPUQuotaExceeded"

	// GPUQuotaNeverFitsReason goes with Ready=False: the release asks for more devices than the limits allow, whatever is
	// free, so nothing of it is applied.
	GPUQuotaNeverFitsReason = "GPUQuotaNeverFits"

	// GPUQuotaUnavailableReason goes with Ready=False: the release asks for more devices than before, and nobody can tell
	// whether there are any: gpu-quota-controller does not answer. Nothing of it is applied until it does.
	GPUQuotaUnavailableReason = "GPUQuotaUnavailable"

	// GPUQuotaWarningReason goes with the event that tells of a release which exceeds a limit that only warns.
	GPUQuotaWarningReason = "GPUQuotaWarning"
)
