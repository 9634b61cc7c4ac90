// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// KustomizationKind is the kind of a Kustomization.
const KustomizationKind = "Kustomization"

// Kustomization builds a directory of a source with kustomize and keeps the cluster equal to the result.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ks,categories=all;fluxcd;fluxcd-appliers;weir
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the last attempted revision is applied and healthy"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why, in one word"
// +kubebuilder:printcolumn:name="Source",type="string",JSONPath=".spec.sourceRef.name",description="The source that is applied"
// +kubebuilder:printcolumn:name="Suspended",type="boolean",JSONPath=".spec.suspend",description="Whether reconciliation is paused"
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.lastAppliedRevision",description="The last revision that was applied in full"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:printcolumn:name="Status",type="string",priority=1,JSONPath=".status.conditions[?(@.type==\"Ready\")].message",description="Why, in words"
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
type Kustomization struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	Spec KustomizationSpec `json:"spec,omitempty"`

	// status is what was seen last.
	// +kubebuilder:default:={"observedGeneration":-1}
	Status KustomizationStatus `json:"status,omitempty"`
}

// KustomizationList is a list of Kustomizations.
//
// +kubebuilder:object:root=true
type KustomizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the Kustomizations.
	Items []Kustomization `json:"items"`
}

// KustomizationSpec says what to build, how to apply it, and when that counts as done.
type KustomizationSpec struct {
	// commonMetadata is put on every object that is applied. It wins over labels and annotations with the same keys.
	// +optional
	CommonMetadata *meta.CommonMetadata `json:"commonMetadata,omitempty"`

	// dependsOn lists Kustomizations that have to be ready before this one is applied.
	// +optional
	DependsOn []meta.DependencyReference `json:"dependsOn,omitempty"`

	// decryption says how to decrypt the files and Secrets of the source before they are applied.
	// +optional
	Decryption *Decryption `json:"decryption,omitempty"`

	// interval between two reconciliations when nothing calls for one earlier, such as 10m. The controller varies it a
	// little, so that objects with the same interval do not all become due at once.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +required
	Interval metav1.Duration `json:"interval"`

	// retryInterval between a failed reconciliation and the next. Defaults to interval.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	RetryInterval *metav1.Duration `json:"retryInterval,omitempty"`

	// kubeConfig makes the controller apply to another cluster. Together with serviceAccountName it acts there as the
	// service account of that name.
	// +optional
	KubeConfig *meta.KubeConfigReference `json:"kubeConfig,omitempty"`

	// path of the directory to build, inside the source. It holds a kustomization.yaml, or plain manifests for which one
	// is generated. Defaults to the root.
	// +optional
	Path string `json:"path,omitempty"`

	// postBuild changes the objects after kustomize has built them.
	// +optional
	PostBuild *PostBuild `json:"postBuild,omitempty"`

	// prune deletes objects from the cluster that an earlier revision applied and the present one does not have.
	// +required
	Prune bool `json:"prune"`

	// deletionPolicy says what becomes of the applied objects when this Kustomization is deleted: MirrorPrune (the
	// default) deletes them if prune is true, Delete always, WaitForTermination always and waits until they are gone,
	// Orphan leaves them.
	// +kubebuilder:validation:Enum=MirrorPrune;Delete;WaitForTermination;Orphan
	// +optional
	DeletionPolicy string `json:"deletionPolicy,omitempty"`

	// healthChecks lists objects that have to be healthy before this Kustomization is ready. Ignored if wait is true.
	// +optional
	HealthChecks []meta.NamespacedObjectKindReference `json:"healthChecks,omitempty"`

	// namePrefix is put before the name of every object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +optional
	NamePrefix string `json:"namePrefix,omitempty"`

	// nameSuffix is put after the name of every object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +optional
	NameSuffix string `json:"nameSuffix,omitempty"`

	// patches are applied to the built objects, in this order.
	// +optional
	Patches []meta.Patch `json:"patches,omitempty"`

	// images changes names, tags and digests of container images.
	// +optional
	Images []meta.Image `json:"images,omitempty"`

	// serviceAccountName is the service account, in the namespace of this Kustomization, that the controller acts as. It
	// needs the rights to everything that is applied.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// sourceRef names the source whose artifact is built.
	// +required
	SourceRef CrossNamespaceSourceReference `json:"sourceRef"`

	// suspend stops reconciliation until it is false again. A reconciliation that has begun is finished. While it is
	// true, deleting this Kustomization leaves the applied objects where they are.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// targetNamespace is the namespace that every namespaced object is put into.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`

	// timeout of building, applying and health checks, together. Defaults to interval less 30 seconds, and is never less
	// than 30 seconds.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// force deletes and creates an object anew when a change of it is refused because a field is immutable. Mind what
	// that does to volumes and to running jobs.
	// +kubebuilder:default:=false
	// +optional
	Force bool `json:"force,omitempty"`

	// wait makes this Kustomization ready only when all its objects are healthy.
	// +optional
	Wait bool `json:"wait,omitempty"`

	// buildMetadata has kustomize write down in annotations where each object came from (originAnnotations) and what
	// changed it (transformerAnnotations).
	// +optional
	BuildMetadata []BuildMetadataOption `json:"buildMetadata,omitempty"`

	// components lists directories with kustomize components, relative to path.
	// +optional
	Components []string `json:"components,omitempty"`

	// ignoreMissingComponents leaves out components whose directory is not in the source. Otherwise they are an error.
	// +optional
	IgnoreMissingComponents bool `json:"ignoreMissingComponents,omitempty"`

	// healthCheckExprs tells the health of custom resources, for wait and for healthChecks.
	// +optional
	HealthCheckExprs []meta.CustomHealthCheck `json:"healthCheckExprs,omitempty"`

	// ignore lists fields of applied objects whose values are left to others.
	// +optional
	Ignore []meta.IgnoreRule `json:"ignore,omitempty"`

	// weir holds everything that Weir adds to this kind. No field of it changes the meaning of a field outside of it
	// unless it is set.
	// +optional
	Weir *WeirSpec `json:"weir,omitempty"`
}
