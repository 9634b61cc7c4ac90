// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// WeirSpec holds the fields of spec that Weir adds. The controller looks for it in the schema of the live CRD to tell
// Weir's CRD from Flux's.
type WeirSpec struct {
	// mode is Apply (the default), or Plan: render, ask the API server what an install or upgrade would change, write that
	// to status.weir.plan, and touch nothing. While it is Plan drift is left as it is, and deleting the HelmRelease leaves
	// the release where it is.
	// +kubebuilder:validation:Enum=Apply;Plan
	// +optional
	Mode meta.Mode `json:"mode,omitempty"`
}

// WeirStatus holds the fields of status that Weir adds.
type WeirStatus struct {
	// cluster is where the release is: "local", or the address of the API server that spec.kubeConfig led to. When
	// spec.kubeConfig leads elsewhere, the release is left where it is.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Cluster string `json:"cluster,omitempty"`

	// pending is the action that was begun last and whose outcome is not in this status yet. It outlives a restart of the
	// controller, which then knows whose revision it finds in Helm's storage.
	// +optional
	Pending *PendingAction `json:"pending,omitempty"`

	// plan is what an install or upgrade would change. Present while spec.weir.mode is Plan.
	// +optional
	Plan *meta.Plan `json:"plan,omitempty"`

	// drift lists the objects that differ from the release and are left so. Present while there are any and
	// spec.driftDetection.mode is warn.
	// +optional
	Drift *meta.ObjectChanges `json:"drift,omitempty"`
}

// PendingAction is a Helm action that was begun.
type PendingAction struct {
	// action is install, upgrade, rollback, uninstall, uninstall-remediation or test.
	// +kubebuilder:validation:MaxLength=32
	// +required
	Action string `json:"action"`

	// name of the release.
	// +kubebuilder:validation:MaxLength=53
	// +required
	Name string `json:"name"`

	// namespace of the release.
	// +kubebuilder:validation:MaxLength=63
	// +required
	Namespace string `json:"namespace"`

	// version of the release that the action makes or, for uninstall and test, is about. 0 if that is not known.
	// +optional
	Version int64 `json:"version,omitempty"`

	// generation of the spec that the action is for.
	// +required
	Generation int64 `json:"generation"`

	// chartVersion that is installed or upgraded to.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	ChartVersion string `json:"chartVersion,omitempty"`

	// configDigest of the values that are installed or upgraded to.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	ConfigDigest string `json:"configDigest,omitempty"`

	// ociDigest of the artifact of the chart, if it comes from an OCIRepository.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	OCIDigest string `json:"ociDigest,omitempty"`

	// since is when it was begun.
	// +required
	Since metav1.Time `json:"since"`
}
