// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// KustomizationStatus is what the controller last saw and did.
type KustomizationStatus struct {
	meta.ReconcileRequestStatus `json:",inline"`

	// observedGeneration is the generation of the spec that was last reconciled to an end, good or final.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, and, while they apply, Reconciling, Stalled, Healthy and Drifted.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// lastAppliedRevision is the revision of the artifact that was last applied and, if health checks are asked for,
	// found healthy.
	// +optional
	LastAppliedRevision string `json:"lastAppliedRevision,omitempty"`

	// lastAppliedOriginRevision is where the artifact of lastAppliedRevision itself was made from, if its source says so,
	// such as the commit from which an OCI artifact was packed.
	// +optional
	LastAppliedOriginRevision string `json:"lastAppliedOriginRevision,omitempty"`

	// lastAttemptedRevision is the revision of the artifact that was last tried.
	// +optional
	LastAttemptedRevision string `json:"lastAttemptedRevision,omitempty"`

	// inventory lists the objects that this Kustomization answers for.
	// +optional
	Inventory *meta.ResourceInventory `json:"inventory,omitempty"`

	// history tells the last reconciliations, the latest first.
	// +optional
	History meta.History `json:"history,omitempty"`

	// weir holds everything that Weir adds to the status of this kind.
	// +optional
	Weir *WeirStatus `json:"weir,omitempty"`
}
