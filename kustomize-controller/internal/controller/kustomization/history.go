// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
)

// Keys of the metadata of a snapshot, which are Flux's.
const (
	snapshotRevision       = "revision"
	snapshotOriginRevision = "originRevision"
)

// originRevision is the annotation of an artifact that tells what it was made
// from.
const originRevision = "org.opencontainers.image.revision"

// run is a reconciliation from its begin until it has ended, well or badly,
// which may take several reconciles of the controller.
type run struct {
	began time.Time
	// digest of the objects; empty until they are built.
	digest string
	// metadata of the snapshot.
	metadata map[string]string
	// notable is set if somebody asked for it, or if it changed something in
	// the cluster.
	notable bool
	// recorded is set once it is in the history.
	recorded bool
}

// outcomes are the reasons of Ready that end a reconciliation of objects that
// were built.
var outcomes = []string{
	kustomizev1.ReconciliationSucceededReason,
	kustomizev1.ReconciliationFailedReason,
	kustomizev1.PruneFailedReason,
	kustomizev1.PruneNotConfirmedReason,
	kustomizev1.HealthCheckFailedReason,
}

// built notes what the reconciliation at hand is about.
func (s *scope) built(desired []*apply.Desired) {
	s.memory.run.digest = snapshotDigest(s.obj, s.artifact.Digest, desired)
	s.memory.run.metadata = snapshotMetadata(s.artifact)
}

// record puts the outcome that the conditions show into the history. What
// changed nothing, was asked for by nobody and ended as the time before is not
// recorded again: it would be the only change of the status.
func (s *scope) record() {
	r := &s.memory.run
	outcome := conditions.GetReason(s.obj, kustomizev1.ReadyCondition)
	if r.digest == "" || s.artifact == nil || !slices.Contains(outcomes, outcome) || conditions.IsUnknown(s.obj, kustomizev1.ReadyCondition) {
		return
	}
	if conditions.IsReconciling(s.obj) && conditions.GetReason(s.obj, kustomizev1.ReconcilingCondition) == kustomizev1.ProgressingReason {
		return // it was ready before and has not come to an end yet
	}
	began := r.began
	if r.recorded {
		began = s.now // objects have become well or ill since
	}
	r.metadata = snapshotMetadata(s.artifact)
	last := s.obj.Status.History.Latest()
	same := last != nil && last.Digest == r.digest && last.LastReconciledStatus == outcome && maps.Equal(last.Metadata, r.metadata)
	if same && (r.recorded || !r.notable) {
		return
	}
	s.snapshot(outcome, began)
}

// recordCanceled puts a reconciliation into the history that something newer
// has ended. After a restart nothing is known of it.
func (s *scope) recordCanceled() {
	if s.memory.run.digest != "" {
		s.snapshot(kustomizev1.HealthCheckCanceledReason, s.memory.run.began)
	}
}

func (s *scope) snapshot(outcome string, began time.Time) {
	r := &s.memory.run
	end := time.Now()
	s.obj.Status.History = s.obj.Status.History.Record(r.digest, outcome, end, end.Sub(began).Round(time.Millisecond), r.metadata)
	r.recorded = true
}

func snapshotMetadata(artifact *fluxmeta.Artifact) map[string]string {
	metadata := map[string]string{snapshotRevision: artifact.Revision}
	if origin := artifact.Metadata[originRevision]; origin != "" {
		metadata[snapshotOriginRevision] = origin
	}
	return metadata
}

// snapshotDigest identifies a set of objects. It stands in the status, where
// more people can read it than may read Secrets, and whoever knows all but one
// value of what was hashed can try values until the digest fits. So no value
// of a Secret goes into it. Where values of Secrets may be anywhere, because
// variables come from them or the source is encrypted, source and spec stand
// for the contents of all objects.
func snapshotDigest(obj *kustomizev1.Kustomization, artifactDigest string, desired []*apply.Desired) string {
	anywhere := obj.Spec.Decryption != nil || obj.Spec.PostBuild != nil &&
		slices.ContainsFunc(obj.Spec.PostBuild.SubstituteFrom, func(from kustomizev1.SubstituteReference) bool { return from.Kind == "Secret" })
	lines := make([]string, 0, len(desired)+1)
	for _, d := range desired {
		contents := d.Digest
		switch {
		case anywhere:
			contents = ""
		case d.Ref.Kind == "Secret" && d.Ref.Group == "":
			contents = strings.Join(secretKeys(d.Object.Object), " ")
		}
		lines = append(lines, fmt.Sprintf("%q %q %q", d.Ref.ID(), d.GVK.Version, contents))
	}
	slices.SortFunc(lines, cmp.Compare)
	if anywhere {
		lines = append(lines, fmt.Sprintf("%q %d", artifactDigest, obj.Generation))
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// secretKeys are the names of the values of a Secret.
func secretKeys(secret map[string]any) []string {
	var keys []string
	for _, field := range []string{"data", "stringData"} {
		values, _ := secret[field].(map[string]any)
		keys = slices.AppendSeq(keys, maps.Keys(values))
	}
	slices.Sort(keys)
	return keys
}
