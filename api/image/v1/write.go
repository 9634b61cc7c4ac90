// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"github.com/weir-gitops/weir/api/meta"
)

// Part says which part of a reference a field holds.
// +kubebuilder:validation:Enum=image;name;tag;digest
type Part string

// Values of Part.
const (
	// PartImage is the whole reference. A prefix such as oci:// stays. It is the default.
	PartImage Part = "image"
	// PartName is the repository.
	PartName Part = "name"
	// PartTag is the tag.
	PartTag Part = "tag"
	// PartDigest is the digest.
	PartDigest Part = "digest"
)

// Target is a field of a YAML file. What it holds before must name the repository of the image already.
//
// +kubebuilder:validation:XValidation:rule="!has(self.part) || self.part in ['image', 'name'] || has(self.repositoryPath)",message="repositoryPath is required for a tag or a digest: the field alone does not say which repository it is of"
type Target struct {
	// image is the name of an entry of images.
	// +kubebuilder:validation:MinLength=1
	// +required
	Image string `json:"image"`

	// file is the path of a YAML file, relative to update.path.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	File string `json:"file"`

	// path of the field: names with dots between them and indexes in brackets, such as
	// spec.predictor.model.storageUri or spec.containers[0].image. A name with a dot is put in quotes and brackets:
	// metadata.annotations["a.b/c"].
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Path string `json:"path"`

	// object picks the document of a file that holds several: <kind>/<name>. Without it the file must hold one.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Object string `json:"object,omitempty"`

	// part of the reference that the field holds: image (the default), name, tag or digest.
	// +optional
	Part Part `json:"part,omitempty"`

	// repositoryPath is the path of the field, in the same document, that names the repository of a tag or a digest.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	RepositoryPath string `json:"repositoryPath,omitempty"`
}

// Forge is the software of a Git host.
// +kubebuilder:validation:Enum=github;gitlab;gitea
type Forge string

// Values of Forge.
const (
	// ForgeGitHub is GitHub, or GitHub Enterprise Server.
	ForgeGitHub Forge = "github"
	// ForgeGitLab is GitLab.
	ForgeGitLab Forge = "gitlab"
	// ForgeGitea is Gitea or Forgejo.
	ForgeGitea Forge = "gitea"
)

// PullRequest proposes the commits of an automation. There is one open at a time, from spec.git.push.branch, by default
// weir/<namespace>/<name>, to the branch that was checked out. It is updated in place and closed when Git holds what it
// proposes. Nothing is ever merged by the controller.
type PullRequest struct {
	// provider is github, gitlab or gitea (Forgejo too).
	// +required
	Provider Forge `json:"provider"`

	// secretRef names a Secret in the namespace of the automation whose key token is sent to the forge's API.
	// +required
	SecretRef meta.LocalObjectReference `json:"secretRef"`

	// apiURL is the base of the API, such as https://ghe.example.com/api/v3. Its host has to be that of the repository,
	// unless a flag of the controller lists it. Defaults to what the provider uses at that host.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	APIURL string `json:"apiURL,omitempty"`

	// title of the pull request. Defaults to the first line of the commit's message.
	// +kubebuilder:validation:MaxLength=200
	// +optional
	Title string `json:"title,omitempty"`

	// labels put on the pull request.
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Labels []string `json:"labels,omitempty"`
}
