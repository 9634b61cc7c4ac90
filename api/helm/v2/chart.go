// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// HelmChartTemplate describes the source that the controller makes for a release.
//
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || (has(self.spec.url) && size(self.spec.url) > 0)", message="chart.spec.url must be set when chart.kind is 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.url) || (has(self.kind) && self.kind == 'OCIRepository')",message="chart.spec.url requires chart.kind: 'OCIRepository'; for a HelmChart template set spec.chart and spec.sourceRef instead"
// +kubebuilder:validation:XValidation:rule="(has(self.kind) && self.kind == 'OCIRepository') || (has(self.spec.chart) && has(self.spec.sourceRef))", message="chart.spec.chart and chart.spec.sourceRef must be set when chart.kind is not 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || !has(self.spec.chart)", message="chart.spec.chart cannot be set when chart.kind is 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || !has(self.spec.version) || self.spec.version == '*'", message="chart.spec.version cannot be set when chart.kind is 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || !has(self.spec.sourceRef)", message="chart.spec.sourceRef cannot be set when chart.kind is 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || !has(self.spec.reconcileStrategy) || self.spec.reconcileStrategy == 'ChartVersion'", message="chart.spec.reconcileStrategy cannot be set when chart.kind is 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || !has(self.spec.valuesFiles)", message="chart.spec.valuesFiles cannot be set when chart.kind is 'OCIRepository'"
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'OCIRepository' || !has(self.spec.ignoreMissingValuesFiles)", message="chart.spec.ignoreMissingValuesFiles cannot be set when chart.kind is 'OCIRepository'"
type HelmChartTemplate struct {
	// kind of the source: HelmChart (the default) or OCIRepository.
	// +kubebuilder:validation:Enum=HelmChart;OCIRepository
	// +optional
	Kind string `json:"kind,omitempty"`

	// metadata of the source.
	// +optional
	ObjectMeta *HelmChartTemplateObjectMeta `json:"metadata,omitempty"`

	// spec of the source.
	// +required
	Spec HelmChartTemplateSpec `json:"spec"`
}

// HelmChartTemplateObjectMeta is the metadata of the source that the controller makes.
type HelmChartTemplateObjectMeta struct {
	// labels to set.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// annotations to set.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// HelmChartTemplateSpec is the spec of the source that the controller makes. The fields of an OCIRepository count for
// that kind alone, but for interval, verify and what both kinds have.
type HelmChartTemplateSpec struct {
	sourcev1.OCIRepositorySpec `json:",inline"`

	// chart is the name of the chart in a HelmRepository, or its path in a GitRepository.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Chart string `json:"chart,omitempty"`

	// version of the chart, or a range of them. Not for charts from Git. Defaults to *, the latest.
	// +optional
	Version string `json:"version,omitempty"`

	// sourceRef names the source that has the chart.
	// +optional
	SourceRef *ChartSourceReference `json:"sourceRef,omitempty"`

	// reconcileStrategy says when the chart counts as new: ChartVersion (the default), when its version changes, or
	// Revision, when that of the source does.
	// +kubebuilder:validation:Enum=ChartVersion;Revision
	// +optional
	ReconcileStrategy string `json:"reconcileStrategy,omitempty"`

	// valuesFiles of the chart to merge, later ones winning, instead of its values.yaml.
	// +optional
	ValuesFiles []string `json:"valuesFiles,omitempty"`

	// ignoreMissingValuesFiles leaves out files of valuesFiles that do not exist. Otherwise they are an error.
	// +optional
	IgnoreMissingValuesFiles bool `json:"ignoreMissingValuesFiles,omitempty"`
}

// ChartSourceReference names the source that has a chart, also in another namespace.
type ChartSourceReference struct {
	// apiVersion of the source. If empty, the version that the controller was built for.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the source.
	// +kubebuilder:validation:Enum=HelmRepository;GitRepository;Bucket
	// +required
	Kind string `json:"kind,omitempty"`

	// name of the source.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// namespace of the source. Defaults to the namespace of the HelmRelease.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Optional
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// CrossNamespaceSourceReference names a source that holds a chart.
type CrossNamespaceSourceReference struct {
	// apiVersion of the source. If empty, the version that the controller was built for.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the source.
	// +kubebuilder:validation:Enum=OCIRepository;HelmChart;ExternalArtifact
	// +required
	Kind string `json:"kind"`

	// name of the source.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// namespace of the source. Defaults to the namespace of the HelmRelease.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Optional
	// +optional
	Namespace string `json:"namespace,omitempty"`
}
