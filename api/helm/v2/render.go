// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	"github.com/weir-gitops/weir/api/meta"
)

// ValuesReference names a key of a ConfigMap or Secret, in the namespace of the HelmRelease, that holds values.
type ValuesReference struct {
	// kind is ConfigMap or Secret.
	// +kubebuilder:validation:Enum=Secret;ConfigMap
	// +required
	Kind string `json:"kind"`

	// name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// valuesKey is the key that holds the values. Defaults to values.yaml.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[\-._a-zA-Z0-9]+$`
	// +optional
	ValuesKey string `json:"valuesKey,omitempty"`

	// targetPath is where to put what the key holds, as a single value, in the notation of helm --set. Without it the key
	// holds a YAML document that is merged.
	// +kubebuilder:validation:MaxLength=250
	// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$`
	// +optional
	TargetPath string `json:"targetPath,omitempty"`

	// optional makes a missing object or key count as no values. Otherwise it is an error.
	// +optional
	Optional bool `json:"optional,omitempty"`

	// literal takes what the key holds as it is, as helm --set-literal does. It counts only together with targetPath.
	// +optional
	Literal bool `json:"literal,omitempty"`
}

// PostRenderer changes rendered objects.
type PostRenderer struct {
	// kustomize changes them with kustomize.
	// +optional
	Kustomize *Kustomize `json:"kustomize,omitempty"`
}

// Kustomize holds changes that kustomize makes.
type Kustomize struct {
	// patches, strategic merge or JSON 6902, to make.
	// +optional
	Patches []meta.Patch `json:"patches,omitempty"`

	// images to replace.
	// +optional
	Images []meta.Image `json:"images,omitempty"`
}

// PostRenderStrategy says what post-renderers see.
type PostRenderStrategy string

const (
	// PostRenderStrategyNoHooks has them see the objects without hooks.
	PostRenderStrategyNoHooks PostRenderStrategy = "nohooks"

	// PostRenderStrategyCombined has them see objects and hooks together. It is the default.
	PostRenderStrategyCombined PostRenderStrategy = "combined"

	// PostRenderStrategySeparate has them see objects and hooks each on their own.
	PostRenderStrategySeparate PostRenderStrategy = "separate"
)

// DriftDetection says what becomes of changes that somebody else makes to objects of a release.
type DriftDetection struct {
	// mode is enabled: put back at once; warn: show and leave; or disabled (the default): leave.
	// +kubebuilder:validation:Enum=enabled;warn;disabled
	// +optional
	Mode meta.DriftMode `json:"mode,omitempty"`

	// ignore lists fields that belong to others.
	// +optional
	Ignore []meta.IgnoreRule `json:"ignore,omitempty"`
}

// WaitStrategyName is a way to find out whether objects are well.
type WaitStrategyName string

const (
	// WaitStrategyPoller judges every object by its status, custom kinds too. It is the default.
	WaitStrategyPoller WaitStrategyName = "poller"

	// WaitStrategyLegacy waits as Helm 3 does: for workloads, volumes and services alone.
	WaitStrategyLegacy WaitStrategyName = "legacy"
)

// WaitStrategy is how to find out whether objects are well.
type WaitStrategy struct {
	// name is poller (the default), which judges every object by its status, or legacy, which waits as Helm 3 does.
	// +kubebuilder:validation:Enum=poller;legacy
	// +required
	Name WaitStrategyName `json:"name"`
}
