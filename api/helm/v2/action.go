// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Install is how to install.
type Install struct {
	// timeout of each single operation. Defaults to that of the HelmRelease.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// strategy is what to do when an install or its tests fail.
	// +optional
	Strategy *InstallStrategy `json:"strategy,omitempty"`

	// remediation is how often to undo a failed install and try again, if the strategy is RemediateOnFailure.
	// +optional
	Remediation *InstallRemediation `json:"remediation,omitempty"`

	// disableTakeOwnership refuses objects that exist and belong to no release or another one. Otherwise they are taken.
	// +optional
	DisableTakeOwnership bool `json:"disableTakeOwnership,omitempty"`

	// disableWait does not wait until the objects are well.
	// +optional
	DisableWait bool `json:"disableWait,omitempty"`

	// disableWaitForJobs does not wait until Jobs are complete.
	// +optional
	DisableWaitForJobs bool `json:"disableWaitForJobs,omitempty"`

	// disableHooks runs no hooks.
	// +optional
	DisableHooks bool `json:"disableHooks,omitempty"`

	// disableOpenAPIValidation does not check the objects against the schemas of the cluster.
	// +optional
	DisableOpenAPIValidation bool `json:"disableOpenAPIValidation,omitempty"`

	// disableSchemaValidation does not check the values against the schema of the chart.
	// +optional
	DisableSchemaValidation bool `json:"disableSchemaValidation,omitempty"`

	// replace installs under a name that an uninstalled release has left in the history.
	// +optional
	Replace bool `json:"replace,omitempty"`

	// skipCRDs is the older form of crds: Skip.
	// +optional
	SkipCRDs bool `json:"skipCRDs,omitempty"`

	// crds says what becomes of the definitions in the directory crds of the chart: Skip, Create (the default) those that
	// do not exist, or CreateReplace, which also updates the others. None is ever deleted.
	// +kubebuilder:validation:Enum=Skip;Create;CreateReplace
	// +optional
	CRDs CRDsPolicy `json:"crds,omitempty"`

	// createNamespace creates the target namespace if it does not exist. It is not deleted with the release.
	// +optional
	CreateNamespace bool `json:"createNamespace,omitempty"`

	// serverSideApply has the API server merge objects (the default) instead of the controller.
	// +optional
	ServerSideApply *bool `json:"serverSideApply,omitempty"`
}

// ActionStrategyName is what to do when an install or an upgrade fails.
type ActionStrategyName string

const (
	// ActionStrategyRemediateOnFailure undoes it and tries again, as often as remediation says.
	ActionStrategyRemediateOnFailure ActionStrategyName = "RemediateOnFailure"

	// ActionStrategyRetryOnFailure upgrades again every retryInterval, without end, and undoes nothing.
	ActionStrategyRetryOnFailure ActionStrategyName = "RetryOnFailure"
)

// InstallStrategy is what to do when an install fails.
//
// +kubebuilder:validation:XValidation:rule="!has(self.retryInterval) || self.name != 'RemediateOnFailure'", message=".retryInterval cannot be set when .name is 'RemediateOnFailure'"
type InstallStrategy struct {
	// name is RemediateOnFailure or RetryOnFailure.
	// +kubebuilder:validation:Enum=RemediateOnFailure;RetryOnFailure
	// +required
	Name string `json:"name"`

	// retryInterval between a failure and the next try. Defaults to 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	RetryInterval *metav1.Duration `json:"retryInterval,omitempty"`
}

// InstallRemediation is how to undo a failed install.
type InstallRemediation struct {
	// retries is how often to uninstall and install again; a negative number is without end. Defaults to 0.
	// +optional
	Retries int `json:"retries,omitempty"`

	// ignoreTestFailures does not count failed tests as a failure. Defaults to test.ignoreFailures.
	// +optional
	IgnoreTestFailures *bool `json:"ignoreTestFailures,omitempty"`

	// remediateLastFailure uninstalls after the last failure too. Defaults to false.
	// +optional
	RemediateLastFailure *bool `json:"remediateLastFailure,omitempty"`
}

// CRDsPolicy says what becomes of the definitions of a chart.
type CRDsPolicy string

const (
	// Skip does nothing with them.
	Skip CRDsPolicy = "Skip"

	// Create creates those that do not exist. It is the default.
	Create CRDsPolicy = "Create"

	// CreateReplace creates those that do not exist and updates the others.
	CreateReplace CRDsPolicy = "CreateReplace"
)

// ServerSideApplyMode says who merges objects.
type ServerSideApplyMode string

const (
	// ServerSideApplyEnabled has the API server merge.
	ServerSideApplyEnabled ServerSideApplyMode = "enabled"

	// ServerSideApplyDisabled has the controller merge, three ways, as Helm 3 does.
	ServerSideApplyDisabled ServerSideApplyMode = "disabled"

	// ServerSideApplyAuto does as the release before was made. It is the default.
	ServerSideApplyAuto ServerSideApplyMode = "auto"
)

// ChartNameChangeStrategy says what to do when the chart has another name than the one that is released.
type ChartNameChangeStrategy string

const (
	// ChartNameChangeStrategyReinstall uninstalls the old release and installs the new chart. It is the default.
	ChartNameChangeStrategyReinstall ChartNameChangeStrategy = "Reinstall"

	// ChartNameChangeStrategyInPlaceUpdate upgrades the release to the new chart.
	ChartNameChangeStrategyInPlaceUpdate ChartNameChangeStrategy = "InPlaceUpdate"
)

// Upgrade is how to upgrade.
type Upgrade struct {
	// timeout of each single operation. Defaults to that of the HelmRelease.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// strategy is what to do when an upgrade or its tests fail.
	// +optional
	Strategy *UpgradeStrategy `json:"strategy,omitempty"`

	// remediation is how often to undo a failed upgrade and try again, if the strategy is RemediateOnFailure.
	// +optional
	Remediation *UpgradeRemediation `json:"remediation,omitempty"`

	// disableTakeOwnership refuses objects that exist and belong to no release or another one. Otherwise they are taken.
	// +optional
	DisableTakeOwnership bool `json:"disableTakeOwnership,omitempty"`

	// disableWait does not wait until the objects are well.
	// +optional
	DisableWait bool `json:"disableWait,omitempty"`

	// disableWaitForJobs does not wait until Jobs are complete.
	// +optional
	DisableWaitForJobs bool `json:"disableWaitForJobs,omitempty"`

	// disableHooks runs no hooks.
	// +optional
	DisableHooks bool `json:"disableHooks,omitempty"`

	// disableOpenAPIValidation does not check the objects against the schemas of the cluster.
	// +optional
	DisableOpenAPIValidation bool `json:"disableOpenAPIValidation,omitempty"`

	// disableSchemaValidation does not check the values against the schema of the chart.
	// +optional
	DisableSchemaValidation bool `json:"disableSchemaValidation,omitempty"`

	// force replaces objects instead of merging. It has no effect with server-side apply.
	// +optional
	Force bool `json:"force,omitempty"`

	// preserveValues adds the values to those of the release before instead of replacing them.
	// +optional
	PreserveValues bool `json:"preserveValues,omitempty"`

	// cleanupOnFail deletes the objects that a failed upgrade has created.
	// +optional
	CleanupOnFail bool `json:"cleanupOnFail,omitempty"`

	// crds says what becomes of the definitions in the directory crds of the chart: Skip, Create (the default) those that
	// do not exist, or CreateReplace, which also updates the others. None is ever deleted.
	// +kubebuilder:validation:Enum=Skip;Create;CreateReplace
	// +optional
	CRDs CRDsPolicy `json:"crds,omitempty"`

	// serverSideApply is enabled, disabled, or auto (the default): as the release before it was made.
	// +kubebuilder:validation:Enum=enabled;disabled;auto
	// +optional
	ServerSideApply ServerSideApplyMode `json:"serverSideApply,omitempty"`

	// chartNameChangeStrategy is Reinstall (the default) or InPlaceUpdate: what to do when the chart has another name than
	// the one that is released.
	// +kubebuilder:validation:Enum=InPlaceUpdate;Reinstall
	// +optional
	ChartNameChangeStrategy ChartNameChangeStrategy `json:"chartNameChangeStrategy,omitempty"`
}

// UpgradeStrategy is what to do when an upgrade fails.
//
// +kubebuilder:validation:XValidation:rule="!has(self.retryInterval) || self.name == 'RetryOnFailure'", message=".retryInterval can only be set when .name is 'RetryOnFailure'"
type UpgradeStrategy struct {
	// name is RemediateOnFailure or RetryOnFailure.
	// +kubebuilder:validation:Enum=RemediateOnFailure;RetryOnFailure
	// +required
	Name string `json:"name"`

	// retryInterval between a failure and the next try. Defaults to 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	RetryInterval *metav1.Duration `json:"retryInterval,omitempty"`
}

// RemediationStrategy says how to undo a failed upgrade.
type RemediationStrategy string

const (
	// RollbackRemediationStrategy rolls back to the last release that was well. It is the default.
	RollbackRemediationStrategy RemediationStrategy = "rollback"

	// UninstallRemediationStrategy uninstalls.
	UninstallRemediationStrategy RemediationStrategy = "uninstall"
)

// UpgradeRemediation is how to undo a failed upgrade.
type UpgradeRemediation struct {
	// retries is how often to undo and upgrade again; a negative number is without end. Defaults to 0.
	// +optional
	Retries int `json:"retries,omitempty"`

	// ignoreTestFailures does not count failed tests as a failure. Defaults to test.ignoreFailures.
	// +optional
	IgnoreTestFailures *bool `json:"ignoreTestFailures,omitempty"`

	// remediateLastFailure undoes after the last failure too. Defaults to true if retries is not 0, else to false.
	// +optional
	RemediateLastFailure *bool `json:"remediateLastFailure,omitempty"`

	// strategy is rollback (the default) or uninstall.
	// +kubebuilder:validation:Enum=rollback;uninstall
	// +optional
	Strategy *RemediationStrategy `json:"strategy,omitempty"`
}

// Test is whether and how to run the tests of a chart.
type Test struct {
	// enable runs them after each install and upgrade.
	// +optional
	Enable bool `json:"enable,omitempty"`

	// timeout of each single operation. Defaults to that of the HelmRelease.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// ignoreFailures counts a release as ready although its tests failed.
	// +optional
	IgnoreFailures bool `json:"ignoreFailures,omitempty"`

	// filters choose the tests to run.
	// +optional
	Filters *[]Filter `json:"filters,omitempty"`
}

// Filter chooses tests by name.
type Filter struct {
	// name of the test.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// exclude leaves the test out, instead of running it and no other.
	// +optional
	Exclude bool `json:"exclude,omitempty"`
}

// Rollback is how to roll back.
type Rollback struct {
	// timeout of each single operation. Defaults to that of the HelmRelease.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// disableWait does not wait until the objects are well.
	// +optional
	DisableWait bool `json:"disableWait,omitempty"`

	// disableWaitForJobs does not wait until Jobs are complete.
	// +optional
	DisableWaitForJobs bool `json:"disableWaitForJobs,omitempty"`

	// disableHooks runs no hooks.
	// +optional
	DisableHooks bool `json:"disableHooks,omitempty"`

	// recreate is accepted for Flux's sake and has no effect.
	// +optional
	Recreate bool `json:"recreate,omitempty"`

	// force replaces objects instead of merging. It has no effect with server-side apply.
	// +optional
	Force bool `json:"force,omitempty"`

	// cleanupOnFail deletes the objects that a failed rollback has created.
	// +optional
	CleanupOnFail bool `json:"cleanupOnFail,omitempty"`

	// serverSideApply is enabled, disabled, or auto (the default): as the release that is rolled back to was made.
	// +kubebuilder:validation:Enum=enabled;disabled;auto
	// +optional
	ServerSideApply ServerSideApplyMode `json:"serverSideApply,omitempty"`
}

// Uninstall is how to uninstall.
type Uninstall struct {
	// timeout of each single operation. Defaults to that of the HelmRelease.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// disableHooks runs no hooks.
	// +optional
	DisableHooks bool `json:"disableHooks,omitempty"`

	// keepHistory marks the release as uninstalled instead of removing it from Helm's storage.
	// +optional
	KeepHistory bool `json:"keepHistory,omitempty"`

	// disableWait does not wait until the objects are gone.
	// +optional
	DisableWait bool `json:"disableWait,omitempty"`

	// deletionPropagation says what becomes of dependents of the objects: background, foreground or orphan.
	// +kubebuilder:default=background
	// +kubebuilder:validation:Enum=background;foreground;orphan
	// +optional
	DeletionPropagation *string `json:"deletionPropagation,omitempty"`
}
