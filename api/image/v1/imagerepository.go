// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"time"

	"github.com/fluxcd/pkg/apis/acl"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// ImageRepository lists the tags of one image repository.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=imgrepo;imagerepo,categories=all;fluxcd;fluxcd-images;weir
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the last scan succeeded"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why, in one word"
// +kubebuilder:printcolumn:name="Image",type="string",JSONPath=".spec.image",description="The repository that is scanned"
// +kubebuilder:printcolumn:name="Tags",type="integer",JSONPath=".status.lastScanResult.tagCount",description="How many tags it has"
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.lastScanResult.revision",description="The checksum of those tags"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:printcolumn:name="Last scan",type="string",priority=1,JSONPath=".status.lastScanResult.scanTime",description="When the tags were read last"
// +kubebuilder:printcolumn:name="Status",type="string",priority=1,JSONPath=".status.conditions[?(@.type==\"Ready\")].message",description="Why, in words"
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
type ImageRepository struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	Spec ImageRepositorySpec `json:"spec,omitempty"`

	// status is what was seen last.
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ImageRepositoryStatus `json:"status,omitempty"`
}

// ImageRepositoryList is a list of ImageRepositories.
//
// +kubebuilder:object:root=true
type ImageRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ImageRepositories.
	Items []ImageRepository `json:"items"`
}

// RegistryAccess says with what a registry is asked. Secrets are read in the namespace of the object.
type RegistryAccess struct {
	// secretRef names a Secret of type kubernetes.io/dockerconfigjson with the credentials.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// proxySecretRef names a Secret with the address of an HTTP proxy, and perhaps username and password.
	// +optional
	ProxySecretRef *meta.LocalObjectReference `json:"proxySecretRef,omitempty"`

	// serviceAccountName is a service account whose image pull secrets are the credentials.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// certSecretRef names a Secret with ca.crt, the PEM certificates to trust, or with tls.crt and tls.key, the client's
	// own certificate, or with all three.
	// +optional
	CertSecretRef *meta.LocalObjectReference `json:"certSecretRef,omitempty"`

	// provider of the credentials: generic (the default) means the fields above.
	// +kubebuilder:validation:Enum=generic;aws;azure;gcp
	// +kubebuilder:default:=generic
	// +optional
	Provider string `json:"provider,omitempty"`

	// insecure lets the registry be asked over plain HTTP.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
}

// ImageRepositorySpec says what to scan, with what, and how often.
type ImageRepositorySpec struct {
	// image is the name of the repository, without scheme and tag, such as ghcr.io/team/model.
	// +required
	Image string `json:"image,omitempty"`

	// interval between two scans, such as 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +required
	Interval metav1.Duration `json:"interval,omitempty"`

	// timeout of one scan. Defaults to interval, and is never less than one second.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	RegistryAccess `json:",inline"`

	// suspend stops scans until it is false again. A scan that has begun is finished.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// accessFrom lets ImagePolicies of other namespaces refer to this object.
	// +optional
	AccessFrom *acl.AccessFrom `json:"accessFrom,omitempty"`

	// exclusionList holds regular expressions; tags that match one are left out.
	// +kubebuilder:default:={"^.*\\.sig$"}
	// +kubebuilder:validation:MaxItems:=25
	// +optional
	ExclusionList []string `json:"exclusionList,omitempty"`
}

// ImageRepositoryStatus is what the last scan found.
type ImageRepositoryStatus struct {
	// conditions: Ready, and Reconciling or Stalled while True.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// canonicalImageName is spec.image with what it implies, such as docker.io/library/alpine for alpine.
	// +optional
	CanonicalImageName string `json:"canonicalImageName,omitempty"`

	// lastScanResult is what the last scan found.
	// +optional
	LastScanResult *ScanResult `json:"lastScanResult,omitempty"`

	// observedExclusionList is the exclusionList of that scan.
	ObservedExclusionList []string `json:"observedExclusionList,omitempty"`

	meta.ReconcileRequestStatus `json:",inline"`
}

// ScanResult sums up one scan.
type ScanResult struct {
	// revision is a checksum of the tags.
	// +optional
	Revision string `json:"revision"`

	// tagCount is how many tags there are, those that are excluded not counted.
	// +required
	TagCount int `json:"tagCount"`

	// scanTime is when the tags were read.
	// +optional
	ScanTime metav1.Time `json:"scanTime"`

	// latestTags are the ten last tags in the order of the alphabet, the last first.
	// +optional
	LatestTags []string `json:"latestTags,omitempty"`
}

// GetTimeout returns the timeout of a scan.
func (r ImageRepository) GetTimeout() time.Duration {
	timeout := r.Spec.Interval.Duration
	if r.Spec.Timeout != nil {
		timeout = r.Spec.Timeout.Duration
	}
	return max(timeout, time.Second)
}

// GetExclusionList returns the patterns of tags to leave out.
func (r ImageRepository) GetExclusionList() []string {
	if len(r.Spec.ExclusionList) > 0 {
		return r.Spec.ExclusionList
	}
	return []string{DefaultExclusion}
}

// GetProvider returns the provider of the credentials.
func (r ImageRepository) GetProvider() string {
	if r.Spec.Provider != "" {
		return r.Spec.Provider
	}
	return "generic"
}

// GetRequeueAfter returns the time between two scans.
func (r ImageRepository) GetRequeueAfter() time.Duration { return r.Spec.Interval.Duration }

// GetConditions returns the conditions of the status.
func (r ImageRepository) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (r *ImageRepository) SetConditions(conditions []metav1.Condition) {
	r.Status.Conditions = conditions
}
