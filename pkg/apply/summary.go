// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/api/meta"
)

// ObjectChanges writes differences down as a status has them, as many as a
// status may hold.
func ObjectChanges(differences []Difference) meta.ObjectChanges {
	kept, omitted := Bound(differences, meta.MaxObjectChanges, meta.MaxObjectChangesBytes)
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

// NewPlan sums up what would become of each object of a revision.
func NewPlan(revision string, differences []Difference, doomed []Doomed) *meta.Plan {
	plan := &meta.Plan{Revision: revision, Deleted: int64(len(doomed))}
	changes := make([]Difference, 0, len(doomed))
	for _, d := range differences {
		switch d.Action {
		case Created:
			plan.Created++
		case Configured, Recreated:
			plan.Changed++
		default:
			plan.Unchanged++
			continue
		}
		changes = append(changes, d)
	}
	for _, d := range doomed {
		changes = append(changes, Difference{Ref: d.Ref, Action: Deleted})
	}
	plan.ObjectChanges = ObjectChanges(changes)
	return plan
}

// DescribePlan is a plan in one sentence.
func DescribePlan(p *meta.Plan) string {
	return fmt.Sprintf("Plan for revision %s: %d to create, %d to change, %d to delete, %d unchanged; nothing was applied",
		p.Revision, p.Created, p.Changed, p.Deleted, p.Unchanged)
}

// Bounds of the summary of drift in a condition.
const (
	maxDrifted      = 5
	maxDriftedPaths = 5
)

// DescribeDrift names the first objects that have drifted, and of each the
// first fields.
func DescribeDrift(found []Difference) string {
	sorted := slices.SortedFunc(slices.Values(found), func(a, b Difference) int { return strings.Compare(a.Ref.ID(), b.Ref.ID()) })
	var texts []string
	for _, d := range sorted[:min(len(sorted), maxDrifted)] {
		texts = append(texts, d.drift())
	}
	if rest := len(sorted) - maxDrifted; rest > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(texts, "; ")
}

func (d Difference) drift() string {
	switch {
	case d.Action == Created:
		return d.Ref.String() + " is gone"
	case len(d.Paths) == 0:
		return d.Ref.String() + " differs"
	}
	paths := d.Paths[:min(len(d.Paths), maxDriftedPaths):min(len(d.Paths), maxDriftedPaths)]
	if rest := len(d.Paths) + d.Omitted - len(paths); rest > 0 {
		paths = append(paths, fmt.Sprintf("and %d more", rest))
	}
	return d.Ref.String() + " differs: " + strings.Join(paths, ", ")
}

// DescribeContested tells which fields two managers set, each at the other's
// expense.
func DescribeContested(contested []Contested) string {
	texts := make([]string, len(contested))
	for i, c := range contested {
		texts[i] = c.Ref.String() + " " + c.Path + " is also set by " + c.Manager + ", and put back at every interval; stop one of the two"
	}
	slices.Sort(texts)
	return strings.Join(texts, "; ")
}

// maxContenders is how many changed fields the description of a correction
// names.
const maxContenders = 20

// String says what was put back, and who had changed it as far as the API
// server knows.
func (c Correction) String() string {
	what := "was gone; created again"
	if !c.Created {
		what = "was changed; put back"
	}
	var details []string
	for _, contender := range c.Contenders[:min(len(c.Contenders), maxContenders)] {
		details = append(details, contender.String())
	}
	if rest := len(c.Contenders) - maxContenders; rest > 0 {
		details = append(details, fmt.Sprintf("and %d more", rest))
	}
	message := c.Ref.String() + " " + what
	if len(details) > 0 {
		message += ": " + strings.Join(details, ", ")
	}
	return message
}
