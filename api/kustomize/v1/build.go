// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"github.com/weir-gitops/weir/api/meta"
)

// CrossNamespaceSourceReference names a source in any namespace.
type CrossNamespaceSourceReference struct {
	// apiVersion of the source. If empty, the version that the controller was built for.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the source.
	// +kubebuilder:validation:Enum=OCIRepository;GitRepository;Bucket;ExternalArtifact
	// +required
	Kind string `json:"kind"`

	// name of the source.
	// +required
	Name string `json:"name"`

	// namespace of the source. Defaults to the namespace of the Kustomization; the controller may be set up to allow no
	// other.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// String returns the reference as kind/[namespace/]name.
func (r CrossNamespaceSourceReference) String() string {
	if r.Namespace != "" {
		return r.Kind + "/" + r.Namespace + "/" + r.Name
	}
	return r.Kind + "/" + r.Name
}

// BuildMetadataOption is one kind of annotation that kustomize can add while it builds.
// +kubebuilder:validation:Enum=originAnnotations;transformerAnnotations
type BuildMetadataOption string

const (
	// BuildMetadataOriginAnnotations records the file that an object was read from, in config.kubernetes.io/origin.
	BuildMetadataOriginAnnotations BuildMetadataOption = "originAnnotations"

	// BuildMetadataTransformerAnnotations records the transformers that changed an object, in
	// alpha.config.kubernetes.io/transformations.
	BuildMetadataTransformerAnnotations BuildMetadataOption = "transformerAnnotations"
)

// Decryption says how encrypted files and Secrets of a source are decrypted.
type Decryption struct {
	// provider of the decryption. There is only sops.
	// +kubebuilder:validation:Enum=sops
	// +required
	Provider string `json:"provider"`

	// serviceAccountName is the service account whose identity is shown to a key management service, unless secretRef
	// has a credential for that service.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// secretRef names the Secret with the private keys and with credentials of key management services.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`
}

// SubstituteStrategy says when variables are substituted.
type SubstituteStrategy string

const (
	// SubstituteStrategyWithVariables substitutes only if at least one variable is defined.
	SubstituteStrategyWithVariables SubstituteStrategy = "WithVariables"

	// SubstituteStrategyAlways substitutes even if no variable is defined, for expressions that bring their own default.
	SubstituteStrategyAlways SubstituteStrategy = "Always"
)

// PostBuild changes objects after kustomize has built them.
type PostBuild struct {
	// substituteStrategy is WithVariables (the default), which substitutes only if at least one variable is defined, or
	// Always.
	// +kubebuilder:validation:Enum=WithVariables;Always
	// +optional
	SubstituteStrategy SubstituteStrategy `json:"substituteStrategy,omitempty"`

	// substitute maps names of variables to values. Each ${name} in an object is replaced by the value; bash's forms for
	// defaults, substrings and replacements work too. These values win over those of substituteFrom.
	// +optional
	Substitute map[string]string `json:"substitute,omitempty"`

	// substituteFrom lists ConfigMaps and Secrets, in the namespace of the Kustomization, whose keys are names of
	// variables. Later ones win over earlier ones.
	// +optional
	SubstituteFrom []SubstituteReference `json:"substituteFrom,omitempty"`
}

// SubstituteReference names a ConfigMap or a Secret with variables.
type SubstituteReference struct {
	// kind is ConfigMap or Secret.
	// +kubebuilder:validation:Enum=Secret;ConfigMap
	// +required
	Kind string `json:"kind"`

	// name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// optional makes a missing object count as one without variables. Otherwise it is an error.
	// +kubebuilder:default:=false
	// +optional
	Optional bool `json:"optional,omitempty"`
}
