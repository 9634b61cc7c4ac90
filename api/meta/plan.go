// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package meta

const (
	// MaxObjectChanges is the number of entries that status.weir.plan and status.weir.drift list. How many more there
	// are is counted.
	MaxObjectChanges = 100

	// MaxObjectChangesBytes is the size in bytes, in JSON, that the entries of one of these lists may have together.
	MaxObjectChangesBytes = 16 << 10
)

// Mode says what a Kustomization does with what it builds.
type Mode string

const (
	// ModeApply applies, prunes and keeps. It is the default.
	ModeApply Mode = "Apply"

	// ModePlan writes to status.weir.plan what an apply would change, and touches nothing.
	ModePlan Mode = "Plan"
)

// Plan is what an apply of a revision would change.
type Plan struct {
	// revision that was planned.
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Revision string `json:"revision"`

	// created is how many objects would be created.
	// +required
	Created int64 `json:"created"`

	// changed is how many objects would be changed, those included that would be deleted and created anew.
	// +required
	Changed int64 `json:"changed"`

	// deleted is how many objects would be pruned.
	// +required
	Deleted int64 `json:"deleted"`

	// unchanged is how many objects would stay as they are.
	// +required
	Unchanged int64 `json:"unchanged"`

	ObjectChanges `json:",inline"`
}

// ObjectChanges lists changes of objects, as many as fit.
type ObjectChanges struct {
	// changes of objects, sorted by action (deleted, recreated, configured, created) and then by id.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Changes []ObjectChange `json:"changes,omitempty"`

	// omitted is how many changes are not listed, because the list is full.
	// +optional
	Omitted int64 `json:"omitted,omitempty"`
}

// ObjectChange is the change of one object.
type ObjectChange struct {
	// id of the object, as in the inventory.
	// +kubebuilder:validation:MaxLength=1024
	// +required
	ID string `json:"id"`

	// action on the object: created, configured, recreated or deleted.
	// +kubebuilder:validation:MaxLength=32
	// +required
	Action string `json:"action"`

	// paths of the fields that differ, such as spec.replicas, without their values.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Paths []string `json:"paths,omitempty"`

	// omittedPaths is how many more fields differ.
	// +optional
	OmittedPaths int64 `json:"omittedPaths,omitempty"`
}
