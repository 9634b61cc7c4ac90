// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// GitSpec says what to check out, how to commit and where to push.
type GitSpec struct {
	// checkout says what the commits are made on. Defaults to spec.ref of the GitRepository.
	// +optional
	Checkout *GitCheckoutSpec `json:"checkout,omitempty"`

	// commit says how commits are made.
	// +required
	Commit CommitSpec `json:"commit"`

	// push says where commits go. Defaults to the branch that was checked out.
	// +optional
	Push *PushSpec `json:"push,omitempty"`
}

// HasRefspec reports whether commits are also pushed by a refspec.
func (s GitSpec) HasRefspec() bool { return s.Push != nil && s.Push.Refspec != "" }

// GitCheckoutSpec says what the commits are made on.
type GitCheckoutSpec struct {
	// ref is a branch, tag or commit.
	// +required
	Reference sourcev1.GitRepositoryRef `json:"ref"`
}

// CommitSpec says how commits are made.
type CommitSpec struct {
	// author of the commits.
	// +required
	Author CommitUser `json:"author"`

	// signingKey signs the commits.
	// +optional
	SigningKey *SigningKey `json:"signingKey,omitempty"`

	// messageTemplate is a Go template for the message. Its data are .AutomationObject, .Changed and .Values.
	// +optional
	MessageTemplate string `json:"messageTemplate,omitempty"`

	// messageTemplateValues are the .Values of the template.
	// +optional
	MessageTemplateValues map[string]string `json:"messageTemplateValues,omitempty"`
}

// CommitUser is the author of commits.
type CommitUser struct {
	// name of the author.
	// +optional
	Name string `json:"name,omitempty"`

	// email of the author.
	// +required
	Email string `json:"email"`
}

// SigningKey says which key signs commits.
type SigningKey struct {
	// secretRef names a Secret in the namespace of the automation. For gpg it holds git.asc, an armored OpenPGP key pair,
	// and perhaps passphrase; for ssh it holds identity, a private key that OpenSSH reads, and perhaps password.
	// +required
	SecretRef meta.LocalObjectReference `json:"secretRef"`

	// type of the key: gpg (the default) or ssh.
	// +optional
	Type SigningKeyType `json:"type,omitempty"`
}

// SigningKeyType is a kind of key.
// +kubebuilder:validation:Enum=gpg;ssh
type SigningKeyType string

// Values of SigningKeyType.
const (
	// SigningKeyTypeGPG is an OpenPGP key.
	SigningKeyTypeGPG SigningKeyType = "gpg"
	// SigningKeyTypeSSH is an SSH key.
	SigningKeyTypeSSH SigningKeyType = "ssh"
)

// PushSpec says where commits go.
type PushSpec struct {
	// branch that is pushed to. If it does not exist it begins at what was checked out.
	// +optional
	Branch string `json:"branch,omitempty"`

	// refspec is pushed too, such as refs/heads/main:refs/for/main. It cannot delete and cannot force.
	// +kubebuilder:validation:Pattern="^$|^[^+:]"
	// +optional
	Refspec string `json:"refspec,omitempty"`

	// options are sent to the server with the push.
	// +optional
	Options map[string]string `json:"options,omitempty"`
}
