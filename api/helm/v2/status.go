// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// ReleaseAction is what a release was made by.
type ReleaseAction string

const (
	// ReleaseActionInstall installs.
	ReleaseActionInstall ReleaseAction = "install"

	// ReleaseActionUpgrade upgrades.
	ReleaseActionUpgrade ReleaseAction = "upgrade"

	// ReleaseActionRollback rolls back.
	ReleaseActionRollback ReleaseAction = "rollback"

	// ReleaseActionUninstall uninstalls.
	ReleaseActionUninstall ReleaseAction = "uninstall"

	// ReleaseActionUninstallRemediation uninstalls to undo a failure.
	ReleaseActionUninstallRemediation ReleaseAction = "uninstall-remediation"
)

// HelmReleaseStatus is what the controller last saw and did.
type HelmReleaseStatus struct {
	// observedGeneration is the generation of the spec that was last reconciled to an end, good or final.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// observedPostRenderersDigest is the digest of the post-renderers of the last release that succeeded.
	// +optional
	ObservedPostRenderersDigest string `json:"observedPostRenderersDigest,omitempty"`

	// observedCommonMetadataDigest is the digest of the common metadata of the last release that succeeded.
	// +optional
	ObservedCommonMetadataDigest string `json:"observedCommonMetadataDigest,omitempty"`

	// lastAttemptedGeneration is the generation of the spec that was last tried.
	// +optional
	LastAttemptedGeneration int64 `json:"lastAttemptedGeneration,omitempty"`

	// conditions are Ready, and, as far as they apply, Released, TestSuccess, Remediated, Drifted, Reconciling and
	// Stalled.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// helmChart is the source that the controller made, as <namespace>/<name> or <kind>/<namespace>/<name>.
	// +optional
	HelmChart string `json:"helmChart,omitempty"`

	// storageNamespace is where Helm stores the release.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:Optional
	// +optional
	StorageNamespace string `json:"storageNamespace,omitempty"`

	// history tells the last releases, the latest first.
	// +optional
	History Snapshots `json:"history,omitempty"`

	// inventory lists the objects of the latest release.
	// +optional
	Inventory *meta.ResourceInventory `json:"inventory,omitempty"`

	// lastAttemptedReleaseAction is install or upgrade, whichever was last tried.
	// +kubebuilder:validation:Enum=install;upgrade
	// +optional
	LastAttemptedReleaseAction ReleaseAction `json:"lastAttemptedReleaseAction,omitempty"`

	// lastAttemptedReleaseActionDuration is how long it took.
	// +kubebuilder:validation:Type=string
	// +optional
	LastAttemptedReleaseActionDuration *metav1.Duration `json:"lastAttemptedReleaseActionDuration,omitempty"`

	// failures since the last success, or since the spec, the chart or the values last changed.
	// +optional
	Failures int64 `json:"failures,omitempty"`

	// installFailures counts failed installs in the same way.
	// +optional
	InstallFailures int64 `json:"installFailures,omitempty"`

	// upgradeFailures counts failed upgrades in the same way.
	// +optional
	UpgradeFailures int64 `json:"upgradeFailures,omitempty"`

	// lastAttemptedRevision is the version of the chart that was last tried.
	// +optional
	LastAttemptedRevision string `json:"lastAttemptedRevision,omitempty"`

	// lastAttemptedRevisionDigest is the digest of the artifact of that chart, if it comes from an OCIRepository.
	// +optional
	LastAttemptedRevisionDigest string `json:"lastAttemptedRevisionDigest,omitempty"`

	// lastAttemptedValuesChecksum is no longer written. lastAttemptedConfigDigest took its place.
	// +optional
	LastAttemptedValuesChecksum string `json:"lastAttemptedValuesChecksum,omitempty"`

	// lastReleaseRevision is no longer written. history took its place.
	// +optional
	LastReleaseRevision int `json:"lastReleaseRevision,omitempty"`

	// lastAttemptedConfigDigest is the digest of the values that were last tried.
	// +optional
	LastAttemptedConfigDigest string `json:"lastAttemptedConfigDigest,omitempty"`

	// lastHandledResetAt is the value of the reset annotation that was last acted on.
	// +optional
	LastHandledResetAt string `json:"lastHandledResetAt,omitempty"`

	meta.ReconcileRequestStatus `json:",inline"`

	// lastHandledForceAt is the value of the force annotation that was last acted on.
	// +optional
	LastHandledForceAt string `json:"lastHandledForceAt,omitempty"`

	// weir holds everything that Weir adds to the status of this kind.
	// +optional
	Weir *WeirStatus `json:"weir,omitempty"`
}

// SnapshotAPIVersion2 is the version of the digest in snapshots that are made now. Older ones cannot be verified.
const SnapshotAPIVersion2 = "v2"

// Snapshots tells releases.
type Snapshots []*Snapshot

// Snapshot is a release as it was when the controller last looked.
type Snapshot struct {
	// apiVersion says how digest is computed. Empty in snapshots of before version v2.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// digest of the release in Helm's storage. Another one means that somebody else changed it.
	// +required
	Digest string `json:"digest"`

	// name of the release.
	// +required
	Name string `json:"name"`

	// namespace of the release.
	// +required
	Namespace string `json:"namespace"`

	// version of the release: 1 for the first.
	// +required
	Version int `json:"version"`

	// status of the release, such as deployed, failed or superseded.
	// +required
	Status string `json:"status"`

	// action that made the release.
	// +optional
	Action ReleaseAction `json:"action,omitempty"`

	// chartName is the name of its chart.
	// +required
	ChartName string `json:"chartName"`

	// chartVersion is the version of its chart.
	// +required
	ChartVersion string `json:"chartVersion"`

	// appVersion is the version of what the chart installs.
	// +optional
	AppVersion string `json:"appVersion,omitempty"`

	// configDigest is the digest of its values.
	// +required
	ConfigDigest string `json:"configDigest"`

	// firstDeployed is when the release was installed.
	// +required
	FirstDeployed metav1.Time `json:"firstDeployed"`

	// lastDeployed is when this version of it was made.
	// +required
	LastDeployed metav1.Time `json:"lastDeployed"`

	// deleted is when it was uninstalled.
	// +optional
	Deleted metav1.Time `json:"deleted,omitempty"`

	// testHooks are the tests of the chart by name, once they were run. Empty: there are none.
	// +optional
	TestHooks *map[string]*TestHookStatus `json:"testHooks,omitempty"`

	// ociDigest is the digest of the artifact of the chart, if it comes from an OCIRepository.
	// +optional
	OCIDigest string `json:"ociDigest,omitempty"`
}

// TestHookStatus is the outcome of a test.
type TestHookStatus struct {
	// lastStarted is when it was begun.
	// +optional
	LastStarted metav1.Time `json:"lastStarted,omitempty"`

	// lastCompleted is when it ended.
	// +optional
	LastCompleted metav1.Time `json:"lastCompleted,omitempty"`

	// phase is how it ended: Succeeded or Failed.
	// +optional
	Phase string `json:"phase,omitempty"`
}
