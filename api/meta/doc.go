// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package meta holds the parts that several of Weir's kinds have in common on the wire: references to other objects,
// selectors and patches, and the pieces of status that tools read the same way in every kind. Each type encodes to
// exactly the JSON of its counterpart in Flux.
//
// +kubebuilder:object:generate=true
package meta
