// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
)

// Types of the conditions of a Kustomization.
const (
	// ReadyCondition is True when the last attempted revision is applied and, if asked for, healthy.
	ReadyCondition = fluxmeta.ReadyCondition

	// ReconcilingCondition is present, and True, while work is under way or waits to be tried again.
	ReconcilingCondition = fluxmeta.ReconcilingCondition

	// StalledCondition is present, and True, when nothing can help but an edit by somebody.
	StalledCondition = fluxmeta.StalledCondition

	// HealthyCondition tells the health of the applied objects, if health checks are asked for.
	HealthyCondition = fluxmeta.HealthyCondition

	// DriftedCondition is present, and True, while a live object differs from the source and is left so for now. The
	// message names object, field and who changed it.
	DriftedCondition = "Drifted"
)

// Reasons of the conditions, and of the events that go with them. The first two groups are Flux's.
const (
	// ProgressingReason goes with Reconciling and Ready=Unknown: a reconciliation is under way.
	ProgressingReason = fluxmeta.ProgressingReason

	// ProgressingWithRetryReason goes with Reconciling: the last attempt failed and there will be another.
	ProgressingWithRetryReason = fluxmeta.ProgressingWithRetryReason

	// SucceededReason goes with Healthy: all health checks passed.
	SucceededReason = fluxmeta.SucceededReason

	// ReconciliationSucceededReason goes with Ready=True: the revision is applied, pruned and healthy.
	ReconciliationSucceededReason = fluxmeta.ReconciliationSucceededReason

	// ReconciliationFailedReason goes with Ready=False: the API server refused something, or could not be asked.
	ReconciliationFailedReason = fluxmeta.ReconciliationFailedReason

	// ArtifactFailedReason goes with Ready=False: the artifact of the source is missing, unreachable or corrupt.
	ArtifactFailedReason = fluxmeta.ArtifactFailedReason

	// BuildFailedReason goes with Ready=False: the source does not build, or a variable is missing.
	BuildFailedReason = fluxmeta.BuildFailedReason

	// PruneFailedReason goes with Ready=False: an object that is no longer wanted could not be deleted.
	PruneFailedReason = fluxmeta.PruneFailedReason

	// DependencyNotReadyReason goes with Ready=False: something in spec.dependsOn or spec.weir.dependsOn is not ready.
	DependencyNotReadyReason = fluxmeta.DependencyNotReadyReason

	// HealthCheckFailedReason goes with Ready=False and Healthy=False: an object failed, or was not healthy in time.
	HealthCheckFailedReason = fluxmeta.HealthCheckFailedReason

	// HealthCheckCanceledReason goes with Ready=False: a newer revision or spec came before the objects were healthy.
	HealthCheckCanceledReason = fluxmeta.HealthCheckCanceledReason

	// InvalidCELExpressionReason goes with Stalled: an expression of the spec does not compile.
	InvalidCELExpressionReason = fluxmeta.InvalidCELExpressionReason

	// FeatureGateDisabledReason goes with Stalled: the spec uses something that this controller was told not to offer.
	FeatureGateDisabledReason = fluxmeta.FeatureGateDisabledReason

	// AccessDeniedReason goes with Stalled: the spec refers to another namespace and the controller forbids that.
	AccessDeniedReason = "AccessDenied"
)

// Reasons that only Weir has.
const (
	// UnsupportedFieldReason goes with Stalled: the spec sets a field that this version of the controller does not
	// implement. The message names the field.
	UnsupportedFieldReason = "UnsupportedField"

	// DependencyCycleReason goes with Stalled: the Kustomization depends, directly or not, on itself. The message names
	// the cycle.
	DependencyCycleReason = "DependencyCycle"

	// InventoryTooLargeReason goes with Stalled: the objects are too many for the status of one Kustomization. The
	// message gives the size and the limit.
	InventoryTooLargeReason = "InventoryTooLarge"

	// InvalidIgnoreRuleReason goes with Stalled: a path or a target of spec.ignore cannot be read. The message names it.
	InvalidIgnoreRuleReason = "InvalidIgnoreRule"

	// FieldContestedReason goes with Drifted: somebody sets a field again and again that the source sets as well. It is
	// set back at every interval, and no longer at once.
	FieldContestedReason = "FieldContested"

	// DriftDetectedReason goes with Drifted: somebody has changed applied objects, and spec.weir.driftDetection.mode leaves
	// it so. status.weir.drift lists them.
	DriftDetectedReason = "DriftDetected"

	// PlannedReason goes with Ready=True: spec.weir.mode is Plan, and status.weir.plan tells what an apply would change.
	PlannedReason = "Planned"

	// PruneNotConfirmedReason goes with Ready=False: spec.weir.pruneGuard holds back a prune. The message names what would
	// be deleted, and the annotation that confirms it.
	PruneNotConfirmedReason = "PruneNotConfirmed"

	// WaitingForGPUsReason goes with Ready=Unknown: applied objects wait in a queue for the devices they ask for, or objects
	// that are yet to be applied for those that the same revision gives up. The message names them. There is no timeout to it.
	WaitingForGPUsReason = "WaitingForGPUs"

	// GPUQuotaExceededReason goes with Ready=False: the revision asks for more devices than are free, so nothing of it is
	// applied. The message has the numbers. It is applied when there is room, in its turn.
	GPUQuotaExceededReason = "GPUQuotaExceeded"

	// GPUQuotaNeverFitsReason goes with Ready=False: the revision asks for more devices than the limits allow, whatever is
	// free, so nothing of it is applied.
	GPUQuotaNeverFitsReason = "GPUQuotaNeverFits"

	// GPUQuotaUnavailableReason goes with Ready=False: the revision asks for more devices than before, and nobody can tell
	// whether there are any: gpu-quota-controller does not answer. Nothing of it is applied until it does.
	GPUQuotaUnavailableReason = "GPUQuotaUnavailable"

	// SwapIncompleteReason goes with Ready=False: the revision has taken objects away to make room for others, and those
	// others could not be applied. The message lists what was taken away.
	SwapIncompleteReason = "SwapIncomplete"

	// GPUQuotaWarningReason goes with the event that tells of a revision which exceeds a limit that only warns, or that
	// may come to exceed one.
	GPUQuotaWarningReason = "GPUQuotaWarning"

	// DriftCorrectedReason goes with the event that tells of a live object that was changed and has been set back.
	DriftCorrectedReason = "DriftCorrected"
)
