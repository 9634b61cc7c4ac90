// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WeirStatus holds the fields of status that Weir adds.
type WeirStatus struct {
	// images tells, for each entry of spec.weir.images, what Git holds and what is kept out of it.
	// +listType=map
	// +listMapKey=name
	// +optional
	Images []ImageStatus `json:"images,omitempty"`

	// pullRequest is the one that is open, or the last one.
	// +optional
	PullRequest *PullRequestStatus `json:"pullRequest,omitempty"`
}

// ImageStatus tells what became of one image.
type ImageStatus struct {
	// name of the entry of spec.weir.images.
	// +required
	Name string `json:"name"`

	// scan sums up the last look at the registry.
	// +optional
	Scan *ScanResult `json:"scan,omitempty"`

	// current is what Git holds.
	// +optional
	Current *ImageRef `json:"current,omitempty"`

	// latest is the highest candidate by the policy, whether it may be written or not.
	// +optional
	Latest *ImageRef `json:"latest,omitempty"`

	// accepted is the last candidate that passed everything.
	// +optional
	Accepted *ImageRef `json:"accepted,omitempty"`

	// held lists candidates above current that are kept out of Git, the highest first.
	// +kubebuilder:validation:MaxItems=5
	// +optional
	Held []HeldImage `json:"held,omitempty"`

	// rejected lists candidates that somebody took out of Git, the latest first.
	// +kubebuilder:validation:MaxItems=10
	// +optional
	Rejected []RejectedImage `json:"rejected,omitempty"`

	// seen tells when digests were first seen, the latest first.
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Seen []SeenImage `json:"seen,omitempty"`

	// best is, for each gate with the baseline BestAccepted, the digest that it compares with.
	// +optional
	Best []BestImage `json:"best,omitempty"`
}

// HeldImage is a candidate that is kept out of Git.
type HeldImage struct {
	ImageRef `json:",inline"`

	// reason in one word: GateFailed, NoBaseline, SignatureInvalid, TooYoung, OutsideWindow, Rejected, Unreadable or
	// PullRequestClosed.
	// +required
	Reason string `json:"reason"`

	// gate that the candidate failed.
	// +optional
	Gate string `json:"gate,omitempty"`

	// message names the values.
	// +optional
	Message string `json:"message,omitempty"`
}

// RejectedImage is a candidate that somebody took out of Git.
type RejectedImage struct {
	// tag that Git held.
	// +optional
	Tag string `json:"tag,omitempty"`

	// digest that Git held.
	// +optional
	Digest string `json:"digest,omitempty"`

	// commit that took it out.
	// +required
	Commit string `json:"commit"`

	// author of that commit.
	// +optional
	Author string `json:"author,omitempty"`
}

// SeenImage tells when a digest was first seen.
type SeenImage struct {
	// digest that was seen.
	// +required
	Digest string `json:"digest"`

	// tag that it was seen at.
	// +optional
	Tag string `json:"tag,omitempty"`

	// firstSeen is when.
	// +required
	FirstSeen metav1.Time `json:"firstSeen"`
}

// BestImage is the best accepted digest by one gate.
type BestImage struct {
	// gate by its name.
	// +required
	Gate string `json:"gate"`

	// digest that was best.
	// +required
	Digest string `json:"digest"`

	// tag that it had.
	// +optional
	Tag string `json:"tag,omitempty"`
}

// PullRequestStatus is one pull request.
type PullRequestStatus struct {
	// url of the page for people.
	// +optional
	URL string `json:"url,omitempty"`

	// number that the forge gave it.
	// +required
	Number int64 `json:"number"`

	// branch that it comes from.
	// +required
	Branch string `json:"branch"`

	// head is the commit that was pushed to the branch last.
	// +optional
	Head string `json:"head,omitempty"`

	// state is open, merged or closed.
	// +required
	State string `json:"state"`
}
