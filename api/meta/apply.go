// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package meta

// CommonMetadata is put on every object that is applied.
type CommonMetadata struct {
	// annotations to set.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// labels to set.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// IgnoreRule leaves fields of some objects to others: they are neither compared with the live object nor changed there.
type IgnoreRule struct {
	// paths of the fields, as JSON pointers (RFC 6901), such as /spec/replicas.
	// +required
	Paths []string `json:"paths"`

	// target selects the objects. If it is not set, the rule holds for all.
	// +optional
	Target *Selector `json:"target,omitempty"`
}

// DriftMode says what becomes of a change that somebody else makes to an applied object.
type DriftMode string

const (
	// DriftEnabled puts the change back. It is the default.
	DriftEnabled DriftMode = "enabled"

	// DriftWarn shows the change, in the condition Drifted and in status.weir.drift, and leaves it until the next
	// revision or spec is applied, or an apply is asked for.
	DriftWarn DriftMode = "warn"

	// DriftDisabled leaves the change, until the next revision or spec is applied, or an apply is asked for.
	DriftDisabled DriftMode = "disabled"
)

// ResourceInventory lists applied objects.
type ResourceInventory struct {
	// entries of the inventory, one for each object.
	Entries []ResourceRef `json:"entries"`
}

// ResourceRef identifies an applied object.
type ResourceRef struct {
	// id is <namespace>_<name>_<group>_<kind>. Namespace and group may be empty; a colon in a name is written as two
	// underscores.
	ID string `json:"id"`

	// v is the version of the object's API.
	Version string `json:"v"`
}
