// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

// CrossNamespaceSourceReference names the Git repository to commit to.
type CrossNamespaceSourceReference struct {
	// apiVersion of the source. If empty, the version that the controller knows.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the source.
	// +kubebuilder:validation:Enum=GitRepository
	// +kubebuilder:default=GitRepository
	// +required
	Kind string `json:"kind"`

	// name of the source.
	// +required
	Name string `json:"name"`

	// namespace of the source. Defaults to the namespace of the object that refers to it.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// String returns the reference as kind/[namespace/]name.
func (r *CrossNamespaceSourceReference) String() string {
	if r.Namespace != "" {
		return r.Kind + "/" + r.Namespace + "/" + r.Name
	}
	return r.Kind + "/" + r.Name
}

// ImageRef is one image: a repository with a tag, and perhaps the digest that the tag stood for.
type ImageRef struct {
	// name of the repository, without tag.
	// +required
	Name string `json:"name"`

	// tag of the image.
	// +required
	Tag string `json:"tag"`

	// digest of the image.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// String returns the reference as name:tag[@digest].
func (r *ImageRef) String() string {
	s := r.Name + ":" + r.Tag
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}
