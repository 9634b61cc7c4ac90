// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
)

// objectChanges writes differences down as the status has them, as many as a
// status may hold.
func objectChanges(differences []apply.Difference) kustomizev1.ObjectChanges {
	kept, omitted := apply.Bound(differences, kustomizev1.MaxObjectChanges, kustomizev1.MaxObjectChangesBytes)
	changes := make([]kustomizev1.ObjectChange, len(kept))
	for i, d := range kept {
		changes[i] = kustomizev1.ObjectChange{
			ID: d.Ref.ID(), Action: string(d.Action), Paths: d.Paths, OmittedPaths: int64(d.Omitted),
		}
	}
	if len(changes) == 0 {
		changes = nil
	}
	return kustomizev1.ObjectChanges{Changes: changes, Omitted: int64(omitted)}
}
