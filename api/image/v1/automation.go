// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// ImageUpdateAutomation commits new image references to a Git repository.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=iua;imgupd;imgauto,categories=all;fluxcd;fluxcd-images;weir
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether Git holds what it should"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why, in one word"
// +kubebuilder:printcolumn:name="Held",type="string",JSONPath=".status.conditions[?(@.type==\"Held\")].reason",description="Why a newer candidate is kept out of Git"
// +kubebuilder:printcolumn:name="Suspended",type="boolean",JSONPath=".spec.suspend",description="Whether the automation is paused"
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.lastPushCommit",description="The last commit that was pushed"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:printcolumn:name="Last run",type="string",priority=1,JSONPath=".status.lastAutomationRunTime",description="When the files were compared last"
// +kubebuilder:printcolumn:name="Status",type="string",priority=1,JSONPath=".status.conditions[?(@.type==\"Ready\")].message",description="Why, in words"
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
type ImageUpdateAutomation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	Spec ImageUpdateAutomationSpec `json:"spec,omitempty"`

	// status is what was done last.
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ImageUpdateAutomationStatus `json:"status,omitempty"`
}

// ImageUpdateAutomationList is a list of ImageUpdateAutomations.
//
// +kubebuilder:object:root=true
type ImageUpdateAutomationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ImageUpdateAutomations.
	Items []ImageUpdateAutomation `json:"items"`
}

// ImageUpdateAutomationSpec says which files of which repository are kept up to date, and how the commits are made.
type ImageUpdateAutomationSpec struct {
	// sourceRef names the GitRepository whose URL and credentials are used.
	// +required
	SourceRef CrossNamespaceSourceReference `json:"sourceRef"`

	// git says what to check out, how to commit and where to push.
	// +optional
	GitSpec *GitSpec `json:"git,omitempty"`

	// interval between two runs when nothing calls for one earlier, such as 30m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +required
	Interval metav1.Duration `json:"interval"`

	// policyChangeDelay is how long a run waits after a policy changed, so that changes within that time share a commit.
	// By default it does not wait.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	PolicyChangeDelay *metav1.Duration `json:"policyChangeDelay,omitempty"`

	// policySelector picks ImagePolicies of the namespace by their labels. Without it all are picked; with
	// spec.weir.images, none.
	// +optional
	PolicySelector *metav1.LabelSelector `json:"policySelector,omitempty"`

	// update says which files are updated and how.
	// +kubebuilder:default={"strategy":"Setters"}
	Update *UpdateStrategy `json:"update,omitempty"`

	// suspend stops runs until it is false again. A run that has begun is finished.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// weir holds everything that Weir adds to this kind. Without it the automation behaves as Flux's does.
	// +optional
	Weir *WeirSpec `json:"weir,omitempty"`
}

// UpdateStrategyName names a way to update files.
// +kubebuilder:validation:Enum=Setters
type UpdateStrategyName string

// UpdateStrategySetters updates the fields that a comment marks.
const UpdateStrategySetters UpdateStrategyName = "Setters"

// UpdateStrategy says which files are updated and how.
type UpdateStrategy struct {
	// strategy is Setters.
	// +optional
	// +kubebuilder:default=Setters
	Strategy UpdateStrategyName `json:"strategy,omitempty"`

	// path of the directory whose files are updated. Defaults to the root of the repository.
	// +optional
	Path string `json:"path,omitempty"`
}

// ImageUpdateAutomationStatus is what was done last.
type ImageUpdateAutomationStatus struct {
	// lastAutomationRunTime is when the files were last compared in full, with or without a change.
	// +optional
	LastAutomationRunTime *metav1.Time `json:"lastAutomationRunTime,omitempty"`

	// lastPushCommit is the hash of the last commit of this automation that was pushed.
	// +optional
	LastPushCommit string `json:"lastPushCommit,omitempty"`

	// lastPushTime is when that commit was pushed.
	// +optional
	LastPushTime *metav1.Time `json:"lastPushTime,omitempty"`

	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, and Reconciling, Stalled or Held while True.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedPolicies holds what the ImagePolicies had picked at the last run, by name.
	// +optional
	ObservedPolicies ObservedPolicies `json:"observedPolicies,omitempty"`

	// observedSourceRevision is the revision of the branch at the last run.
	// +optional
	ObservedSourceRevision string `json:"observedSourceRevision,omitempty"`

	meta.ReconcileRequestStatus `json:",inline"`

	// weir holds everything that Weir adds to the status.
	// +optional
	Weir *WeirStatus `json:"weir,omitempty"`
}

// ObservedPolicies holds what ImagePolicies had picked, by name.
type ObservedPolicies map[string]ImageRef

// GetRequeueAfter returns the time between two runs.
func (a ImageUpdateAutomation) GetRequeueAfter() time.Duration { return a.Spec.Interval.Duration }

// GetPolicyChangeDelay returns how long a run waits after a policy changed.
func (a ImageUpdateAutomation) GetPolicyChangeDelay() time.Duration {
	if a.Spec.PolicyChangeDelay == nil {
		return 0
	}
	return a.Spec.PolicyChangeDelay.Duration
}

// GetConditions returns the conditions of the status.
func (a ImageUpdateAutomation) GetConditions() []metav1.Condition { return a.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (a *ImageUpdateAutomation) SetConditions(conditions []metav1.Condition) {
	a.Status.Conditions = conditions
}
