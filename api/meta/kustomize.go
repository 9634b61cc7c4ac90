// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package meta

// Image changes the name, the tag or the digest of every container image with a given name.
type Image struct {
	// name of the images to change, without a tag.
	// +required
	Name string `json:"name"`

	// newName replaces the name.
	// +optional
	NewName string `json:"newName,omitempty"`

	// newTag replaces the tag. Ignored if digest is set.
	// +optional
	NewTag string `json:"newTag,omitempty"`

	// digest takes the place of the tag, such as sha256:24a0c4….
	// +optional
	Digest string `json:"digest,omitempty"`
}

// Patch changes built objects.
type Patch struct {
	// patch is a strategic merge patch, or a list of JSON patch (RFC 6902) operations, as YAML or JSON text.
	// +required
	Patch string `json:"patch"`

	// target selects the objects to change. A strategic merge patch without a target changes the object that it names.
	// +optional
	Target *Selector `json:"target,omitempty"`
}

// Selector selects objects. An object is selected if it meets every field that is set; group, version, kind, name and
// namespace are regular expressions that have to match in full.
type Selector struct {
	// group of the objects, such as apps.
	// +optional
	Group string `json:"group,omitempty"`

	// version of the objects, such as v1.
	// +optional
	Version string `json:"version,omitempty"`

	// kind of the objects.
	// +optional
	Kind string `json:"kind,omitempty"`

	// namespace of the objects.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// name of the objects.
	// +optional
	Name string `json:"name,omitempty"`

	// annotationSelector selects by annotations, in the syntax of a label selector.
	// +optional
	AnnotationSelector string `json:"annotationSelector,omitempty"`

	// labelSelector selects by labels, such as app=web,tier!=cache.
	// +optional
	LabelSelector string `json:"labelSelector,omitempty"`
}

// CustomHealthCheck tells the health of the objects of one kind with CEL expressions over the object. They are asked in
// the order inProgress, failed, current; if none is true, the object is in progress.
type CustomHealthCheck struct {
	// apiVersion of the objects.
	// +required
	APIVersion string `json:"apiVersion"`

	// kind of the objects. If empty, the expressions serve every kind of the API group.
	// +optional
	Kind string `json:"kind,omitempty"`

	// current is true when the object is healthy.
	// +required
	Current string `json:"current"`

	// inProgress is true while the object is still on its way.
	// +optional
	InProgress string `json:"inProgress,omitempty"`

	// failed is true when the object cannot become healthy by itself.
	// +optional
	Failed string `json:"failed,omitempty"`
}
