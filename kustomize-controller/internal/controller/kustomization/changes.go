// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
)

// objectChanges writes differences down as the status has them, as many as a
// status may hold.
func objectChanges(differences []apply.Difference) meta.ObjectChanges {
	kept, omitted := apply.Bound(differences, meta.MaxObjectChanges, meta.MaxObjectChangesBytes)
	changes := make([]meta.ObjectChange, len(kept))
	for i, d := range kept {
		changes[i] = meta.ObjectChange{
			ID: d.Ref.ID(), Action: string(d.Action), Paths: d.Paths, OmittedPaths: int64(d.Omitted),
		}
	}
	if len(changes) == 0 {
		changes = nil
	}
	return meta.ObjectChanges{Changes: changes, Omitted: int64(omitted)}
}
