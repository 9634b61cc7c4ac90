// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxCompletedJobs is the number of entries that status.weir.completedJobs can hold.
const MaxCompletedJobs = 1000

// WeirSpec holds the fields of spec that Weir adds. There are none yet. The controller looks for it in the schema of the
// live CRD to tell Weir's CRD from Flux's.
type WeirSpec struct{}

// WeirStatus holds the fields of status that Weir adds.
type WeirStatus struct {
	// completedJobs lists the objects of the inventory that run to completion, such as Jobs, and were seen finished. Such
	// an object is not created again when it is gone from the cluster, until its digest changes. An entry is dropped when
	// its object leaves the inventory.
	// +kubebuilder:validation:MaxItems=1000
	// +listType=map
	// +listMapKey=id
	// +optional
	CompletedJobs []CompletedJob `json:"completedJobs,omitempty"`
}

// CompletedJob is an object that ran to completion.
type CompletedJob struct {
	// id of the object, as in the inventory.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	ID string `json:"id"`

	// digest of the object as it was wanted when it finished.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Digest string `json:"digest"`

	// succeeded tells whether it finished well.
	// +required
	Succeeded bool `json:"succeeded"`

	// finishedAt is when it finished.
	// +required
	FinishedAt metav1.Time `json:"finishedAt"`
}
