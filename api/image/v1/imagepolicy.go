// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// ImagePolicy picks one of the tags of an ImageRepository.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=imgpol;imagepol,categories=all;fluxcd;fluxcd-images;weir
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether a tag was picked"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why, in one word"
// +kubebuilder:printcolumn:name="Image",type="string",JSONPath=".status.latestRef.name",description="The repository that the tag is of"
// +kubebuilder:printcolumn:name="Tag",type="string",JSONPath=".status.latestRef.tag",description="The tag that was picked"
// +kubebuilder:printcolumn:name="Digest",type="string",priority=1,JSONPath=".status.latestRef.digest",description="The digest of that tag"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:printcolumn:name="Status",type="string",priority=1,JSONPath=".status.conditions[?(@.type==\"Ready\")].message",description="Why, in words"
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
type ImagePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	Spec ImagePolicySpec `json:"spec,omitempty"`

	// status is what was picked last.
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ImagePolicyStatus `json:"status,omitempty"`
}

// ImagePolicyList is a list of ImagePolicies.
//
// +kubebuilder:object:root=true
type ImagePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ImagePolicies.
	Items []ImagePolicy `json:"items"`
}

// ImagePolicySpec says which tag to pick.
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || (has(self.digestReflectionPolicy) && self.digestReflectionPolicy == 'Always')", message="spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'"
// +kubebuilder:validation:XValidation:rule="has(self.interval) || !has(self.digestReflectionPolicy) || self.digestReflectionPolicy != 'Always'", message="spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'"
type ImagePolicySpec struct {
	// imageRepositoryRef names the ImageRepository that is scanned.
	// +required
	ImageRepositoryRef meta.NamespacedObjectReference `json:"imageRepositoryRef"`

	// policy orders the tags.
	// +required
	Policy ImagePolicyChoice `json:"policy"`

	// filterTags leaves out tags, and says which part of a tag is ordered.
	// +optional
	FilterTags *TagFilter `json:"filterTags,omitempty"`

	// digestReflectionPolicy says whether status.latestRef has a digest: Never (the default), IfNotPresent (the one that
	// the tag stood for when it was picked) or Always (the one that it stands for now).
	// +kubebuilder:default:=Never
	DigestReflectionPolicy ReflectionPolicy `json:"digestReflectionPolicy,omitempty"`

	// interval between two looks at the digest of the tag. Required with Always, and refused otherwise.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// suspend keeps the tag that was picked until it is false again.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ReflectionPolicy says when a digest is read from the registry.
// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
type ReflectionPolicy string

// Values of ReflectionPolicy.
const (
	// ReflectAlways follows the tag to the digest that it stands for now.
	ReflectAlways ReflectionPolicy = "Always"
	// ReflectIfNotPresent keeps the digest that the tag stood for when it was picked.
	ReflectIfNotPresent ReflectionPolicy = "IfNotPresent"
	// ReflectNever leaves the digest out.
	ReflectNever ReflectionPolicy = "Never"
)

// ImagePolicyChoice says in which order tags are. Exactly one field is set.
type ImagePolicyChoice struct {
	// semver picks the highest version in a range.
	// +optional
	SemVer *SemVerPolicy `json:"semver,omitempty"`

	// alphabetical picks the last tag in the order of the alphabet.
	// +optional
	Alphabetical *AlphabeticalPolicy `json:"alphabetical,omitempty"`

	// numerical picks the highest number.
	// +optional
	Numerical *NumericalPolicy `json:"numerical,omitempty"`
}

// SemVerPolicy orders tags as semantic versions.
type SemVerPolicy struct {
	// range of versions, such as ">=1.2.0 <2.0.0".
	// +required
	Range string `json:"range"`
}

// AlphabeticalPolicy orders tags as text.
type AlphabeticalPolicy struct {
	// order is asc (the default), which picks Z, or desc, which picks A.
	// +kubebuilder:default:="asc"
	// +kubebuilder:validation:Enum=asc;desc
	// +optional
	Order string `json:"order,omitempty"`
}

// NumericalPolicy orders tags as numbers.
type NumericalPolicy struct {
	// order is asc (the default), which picks the highest number, or desc, which picks the lowest.
	// +kubebuilder:default:="asc"
	// +kubebuilder:validation:Enum=asc;desc
	// +optional
	Order string `json:"order,omitempty"`
}

// TagFilter leaves out tags.
type TagFilter struct {
	// pattern is a regular expression that tags have to match.
	// +optional
	Pattern string `json:"pattern"`

	// extract is what of a tag is ordered, such as "$ts" for a group that pattern names ts. Defaults to the whole tag.
	// +optional
	Extract string `json:"extract"`
}

// ImagePolicyStatus is what was picked.
type ImagePolicyStatus struct {
	// latestRef is the image that was picked.
	LatestRef *ImageRef `json:"latestRef,omitempty"`

	// observedPreviousRef is the image that was picked before.
	// +optional
	ObservedPreviousRef *ImageRef `json:"observedPreviousRef,omitempty"`

	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, and Reconciling or Stalled while True.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	meta.ReconcileRequestStatus `json:",inline"`
}

// GetDigestReflectionPolicy returns when the digest is read.
func (p *ImagePolicy) GetDigestReflectionPolicy() ReflectionPolicy {
	if p.Spec.DigestReflectionPolicy != "" {
		return p.Spec.DigestReflectionPolicy
	}
	return ReflectNever
}

// GetInterval returns the time between two looks at the digest, or 0 if it is not followed.
func (p *ImagePolicy) GetInterval() time.Duration {
	switch {
	case p.GetDigestReflectionPolicy() != ReflectAlways:
		return 0
	case p.Spec.Interval == nil || p.Spec.Interval.Duration == 0:
		return 10 * time.Minute
	}
	return p.Spec.Interval.Duration
}

// GetConditions returns the conditions of the status.
func (p *ImagePolicy) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (p *ImagePolicy) SetConditions(conditions []metav1.Condition) { p.Status.Conditions = conditions }
