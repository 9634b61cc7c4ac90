// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxHistory is the number of snapshots that a History keeps.
const MaxHistory = 5

// ReconcileRequestStatus is embedded in the status of every kind that can be reconciled on demand.
type ReconcileRequestStatus struct {
	// lastHandledReconcileAt is the value that the annotation reconcile.fluxcd.io/requestedAt had when the last
	// reconciliation began. Whoever asked waits until it equals the value that they set.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// GetLastHandledReconcileRequest returns the token of the last request that was handled.
func (s *ReconcileRequestStatus) GetLastHandledReconcileRequest() string {
	return s.LastHandledReconcileAt
}

// SetLastHandledReconcileRequest records the token of a request that was handled.
func (s *ReconcileRequestStatus) SetLastHandledReconcileRequest(token string) {
	s.LastHandledReconcileAt = token
}

// History is what was reconciled lately, the latest first, at most MaxHistory snapshots.
type History []Snapshot

// Snapshot records the reconciliations of one set of objects that ended the same way.
type Snapshot struct {
	// digest of the objects, as algorithm:hex.
	// +required
	Digest string `json:"digest"`

	// firstReconciled is when this set of objects first ended this way.
	// +required
	FirstReconciled metav1.Time `json:"firstReconciled"`

	// lastReconciled is when this set of objects last ended this way.
	// +required
	LastReconciled metav1.Time `json:"lastReconciled"`

	// lastReconciledDuration is how long the last of these reconciliations took.
	// +kubebuilder:validation:Type=string
	// +required
	LastReconciledDuration metav1.Duration `json:"lastReconciledDuration"`

	// lastReconciledStatus is the reason of the Ready condition at the end.
	// +required
	LastReconciledStatus string `json:"lastReconciledStatus"`

	// totalReconciliations is how often this set of objects ended this way.
	// +required
	TotalReconciliations int64 `json:"totalReconciliations"`

	// metadata tells where the objects came from, such as the revision.
	// +optional
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Latest returns the latest snapshot, or nil if there is none.
func (h History) Latest() *Snapshot {
	if len(h) == 0 {
		return nil
	}
	return &h[0]
}

// Record returns the history with one more reconciliation in it: of the objects with this digest, ended at end after
// took, with this status. Metadata replaces that of an earlier snapshot with the same digest and status. The receiver is
// not changed.
func (h History) Record(digest, status string, end time.Time, took time.Duration, metadata map[string]string) History {
	latest := Snapshot{Digest: digest, LastReconciledStatus: status, FirstReconciled: metav1.NewTime(end)}
	next := make(History, 1, min(len(h)+1, MaxHistory))
	for _, s := range h {
		switch {
		case s.Digest == digest && s.LastReconciledStatus == status:
			latest = s
		case len(next) < MaxHistory:
			next = append(next, s)
		}
	}
	latest.LastReconciled = metav1.NewTime(end)
	latest.LastReconciledDuration = metav1.Duration{Duration: took}
	latest.TotalReconciliations++
	latest.Metadata = metadata
	next[0] = latest
	return next
}
