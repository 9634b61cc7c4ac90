// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// HelmReleaseKind is the kind of a HelmRelease.
const HelmReleaseKind = "HelmRelease"

// HelmRelease installs a chart and keeps the release equal to the chart and the values.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hr,categories=all;fluxcd;fluxcd-appliers;weir
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the last attempted chart and values are released"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why, in one word"
// +kubebuilder:printcolumn:name="Chart",type="string",JSONPath=".status.history[0].chartName",description="The chart of the latest release"
// +kubebuilder:printcolumn:name="Suspended",type="boolean",JSONPath=".spec.suspend",description="Whether reconciliation is paused"
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.history[0].chartVersion",description="The version of the chart of the latest release"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:printcolumn:name="Status",type="string",priority=1,JSONPath=".status.conditions[?(@.type==\"Ready\")].message",description="Why, in words"
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
type HelmRelease struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	Spec HelmReleaseSpec `json:"spec,omitempty"`

	// status is what was seen last.
	// +kubebuilder:default:={"observedGeneration":-1}
	Status HelmReleaseStatus `json:"status,omitempty"`
}

// HelmReleaseList is a list of HelmReleases.
//
// +kubebuilder:object:root=true
type HelmReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the HelmReleases.
	Items []HelmRelease `json:"items"`
}

// HelmReleaseSpec says what to release, with which values, and what to do when that goes wrong.
//
// +kubebuilder:validation:XValidation:rule="(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))", message="either chart or chartRef must be set"
type HelmReleaseSpec struct {
	// chart describes a source that the controller makes for this release: a HelmChart, or an OCIRepository. Exactly one
	// of chart and chartRef is set.
	// +optional
	Chart *HelmChartTemplate `json:"chart,omitempty"`

	// chartRef names a source that exists and holds the chart.
	// +optional
	ChartRef *CrossNamespaceSourceReference `json:"chartRef,omitempty"`

	// interval between two reconciliations when nothing calls for one earlier, such as 10m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +required
	Interval metav1.Duration `json:"interval"`

	// kubeConfig makes the controller release to another cluster. Together with serviceAccountName it acts there as the
	// service account of that name. The release is stored there too.
	// +optional
	KubeConfig *meta.KubeConfigReference `json:"kubeConfig,omitempty"`

	// suspend stops reconciliation. A release that is under way is finished.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// releaseName of the release. Defaults to the name of the HelmRelease, with targetNamespace in front if that is set;
	// beyond 53 characters it is shortened to 40, a dash and the start of a hash.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=53
	// +kubebuilder:validation:Optional
	// +optional
	ReleaseName string `json:"releaseName,omitempty"`

	// targetNamespace is what the chart is released to. Defaults to the namespace of the HelmRelease.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Optional
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`

	// storageNamespace is where Helm stores the release. Defaults to the namespace of the HelmRelease.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Optional
	// +optional
	StorageNamespace string `json:"storageNamespace,omitempty"`

	// dependsOn lists HelmReleases that have to be ready before this one is installed or upgraded.
	// +optional
	DependsOn []meta.DependencyReference `json:"dependsOn,omitempty"`

	// timeout of each single operation, such as a hook or the wait for objects to get well. Defaults to 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// maxHistory is how many revisions of the release Helm keeps; 0 keeps all. Defaults to 5.
	// +optional
	MaxHistory *int `json:"maxHistory,omitempty"`

	// serviceAccountName is the service account, in the namespace of the HelmRelease, that the controller acts as.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// persistentClient is accepted for Flux's sake and has no effect: clients are always shared, and kinds that a chart
	// defines are found.
	// +optional
	PersistentClient *bool `json:"persistentClient,omitempty"`

	// driftDetection says what becomes of changes that somebody else makes to objects of the release.
	// +optional
	DriftDetection *DriftDetection `json:"driftDetection,omitempty"`

	// install is how to install.
	// +optional
	Install *Install `json:"install,omitempty"`

	// upgrade is how to upgrade.
	// +optional
	Upgrade *Upgrade `json:"upgrade,omitempty"`

	// test is whether and how to run the tests of the chart.
	// +optional
	Test *Test `json:"test,omitempty"`

	// rollback is how to roll back.
	// +optional
	Rollback *Rollback `json:"rollback,omitempty"`

	// uninstall is how to uninstall.
	// +optional
	Uninstall *Uninstall `json:"uninstall,omitempty"`

	// valuesFrom lists ConfigMaps and Secrets with values. Later ones win over earlier ones, and values over all.
	// +optional
	ValuesFrom []ValuesReference `json:"valuesFrom,omitempty"`

	// values for the chart.
	// +optional
	Values *apiextensionsv1.JSON `json:"values,omitempty"`

	// commonMetadata is put on every object of the release. It wins over labels and annotations with the same keys.
	// +optional
	CommonMetadata *meta.CommonMetadata `json:"commonMetadata,omitempty"`

	// postRenderers change the rendered objects, one after the other.
	// +optional
	PostRenderers []PostRenderer `json:"postRenderers,omitempty"`

	// postRenderStrategy says what postRenderers see: nohooks, the objects without hooks; combined (the default), objects
	// and hooks together; or separate, objects and hooks each on their own.
	// +kubebuilder:validation:Enum=nohooks;combined;separate
	// +optional
	PostRenderStrategy PostRenderStrategy `json:"postRenderStrategy,omitempty"`

	// waitStrategy is how to find out whether objects are well.
	// +optional
	WaitStrategy *WaitStrategy `json:"waitStrategy,omitempty"`

	// healthCheckExprs say in CEL when objects of custom kinds are well.
	// +optional
	HealthCheckExprs []meta.CustomHealthCheck `json:"healthCheckExprs,omitempty"`

	// weir holds everything that Weir adds to this kind.
	// +optional
	Weir *WeirSpec `json:"weir,omitempty"`
}
