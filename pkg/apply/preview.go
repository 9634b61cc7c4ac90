// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/apply/diff"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// planned is a verdict that a later plan can do without asking again: it holds
// while the desired state and our part of the live object are what they were.
type planned struct {
	digest  string
	gvk     schema.GroupVersionKind
	live    watch.Owned
	action  Action
	paths   []string
	omitted int
}

// Plan tells what Apply would do with each of the desired objects, in the
// order of the stages, and writes nothing. What depends on a namespace or a kind
// that Apply would create first, and so cannot be judged, counts as created. An
// object that would change is read, to tell in which fields; where the tenant
// may not read it, the fields are left out. A second Plan asks only about objects
// that have changed since, on either side, or do not exist. The error lists
// every object that the API server refuses; then there is no plan.
func (e *Engine) Plan(ctx context.Context, set *Set, desired []*Desired, opts Options) ([]Difference, error) {
	p := e.newPlanner(set, desired, &opts)
	p.explains = true
	steps, err := p.plan(ctx, desired)
	set.retainPlanned(desired)
	if err != nil {
		return nil, err
	}
	differences := make([]Difference, len(steps))
	for i, s := range steps {
		differences[i] = Difference{Ref: s.Ref, Action: s.action, Paths: s.paths, Omitted: s.omitted}
		if s.action == Deferred {
			differences[i].Action = Created
		}
	}
	return differences, nil
}

// recalled settles a step by what an earlier plan found out, if that holds.
func (p *planner) recalled(s *step, record *watch.Record) bool {
	if !p.explains || record == nil || record.Deleting {
		return false
	}
	before, ok := p.set.plannedOf(s.Ref)
	if !ok || before.digest != s.Digest || before.gvk != s.GVK || !same(before.live, record.Owned, p.engine.scaled(s.Ref)) {
		return false
	}
	s.action, s.owned, s.paths, s.omitted = before.action, record.Owned, before.paths, before.omitted
	return true
}

// explain finds the fields that a step would change, if the plan is to be
// shown, and keeps the verdict for the next one.
func (p *planner) explain(ctx context.Context, s *step, record *watch.Record, outcome *unstructured.Unstructured) error {
	if !p.explains {
		return nil
	}
	if s.action == Configured {
		live, err := p.liveOf(ctx, s)
		if err != nil {
			return err
		}
		if live != nil {
			s.paths, s.omitted = diff.Paths(live, outcome)
			record = p.settled(s, record, live)
		}
		if s.cleanup {
			s.paths, s.omitted = mergePaths(s.paths, s.omitted, dropped(outcome, p.engine.config.Watch.Managers, p.engine.exempt(outcome, p.set)))
		}
	}
	if record != nil {
		p.set.plan(s.Ref, planned{s.Digest, s.GVK, record.Owned, s.action, s.paths, s.omitted})
	}
	return nil
}

// settled makes a step one that changes nothing if the live object says so: the
// record may lag behind what was applied a moment ago. It returns the record that
// counts.
func (p *planner) settled(s *step, record *watch.Record, live *unstructured.Unstructured) *watch.Record {
	now := p.engine.pool.Record(live)
	if s.cleanup || len(s.paths) > 0 || !same(now.Owned, s.owned, p.engine.scaled(s.Ref)) {
		return record
	}
	s.action, s.owned = Unchanged, now.Owned
	return now
}

// liveOf returns the live object of a step, nil if it is gone or the tenant may
// not read it.
func (p *planner) liveOf(ctx context.Context, s *step) (*unstructured.Unstructured, error) {
	if s.live != nil {
		return s.live, nil
	}
	live, err := p.client.Get(ctx, s.Ref, s.GVK.Version)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &ObjectError{Ref: s.Ref, Doing: "read", Origin: s.Origin, Err: err}
	}
	return live, nil
}

// mergePaths adds paths to those of an object, as many as may be listed.
func mergePaths(paths []string, omitted int, more []string) (merged []string, rest int) {
	if len(more) == 0 {
		return paths, omitted
	}
	merged = slices.Concat(paths, more)
	slices.Sort(merged)
	merged = slices.Compact(merged)
	if over := len(merged) - diff.MaxPaths; over > 0 {
		merged, omitted = merged[:diff.MaxPaths], omitted+over
	}
	return merged, omitted
}

// dropped returns the paths that an object loses when the claims of managers
// become ours that we do not repeat, and marks of earlier tools go. A dry-run
// does not show it, because the claims are taken over by a request of its own.
func dropped(outcome *unstructured.Unstructured, managers watch.Managers, exempt *exemption.Tree) []string {
	theirs, kept := fieldpath.NewSet(), claimed(outcome, managers.Self)
	for _, entry := range outcome.GetManagedFields() {
		switch {
		case entry.Manager == managers.Self && entry.Operation == metav1.ManagedFieldsOperationApply:
		case managers.TakesOver(entry):
			stays := watch.Spared(outcome, diff.Claims(entry), exempt)
			theirs, kept = theirs.Union(diff.Claims(entry).Difference(stays)), kept.Union(stays)
		default:
			kept = kept.Union(diff.Claims(entry))
		}
	}
	var paths []string
	for path := range theirs.Leaves().All() {
		if !kept.Has(path) && below(kept, path).Empty() {
			paths = append(paths, diff.Format(path))
		}
	}
	annotations, labels := outcome.GetAnnotations(), outcome.GetLabels()
	for _, mark := range legacyAnnotations {
		if _, ok := annotations[mark]; ok {
			paths = append(paths, diff.Format(fieldpath.MakePathOrDie("metadata", "annotations", mark)))
		}
	}
	for _, mark := range legacyLabels {
		if _, ok := labels[mark]; ok {
			paths = append(paths, diff.Format(fieldpath.MakePathOrDie("metadata", "labels", mark)))
		}
	}
	return paths
}

// below returns the part of a set that is below a path.
func below(set *fieldpath.Set, path fieldpath.Path) *fieldpath.Set {
	for _, element := range path {
		set = set.WithPrefix(element)
	}
	return set
}

// fieldsAtFault returns the fields that a refusal names, without their values.
func fieldsAtFault(err error) []string {
	var status apierrors.APIStatus // not an error type, so AsType does not do
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var fields []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Field != "" {
			fields = append(fields, strings.ToValidUTF8(cause.Field[:min(len(cause.Field), diff.MaxPathBytes)], ""))
		}
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return fields[:min(len(fields), diff.MaxPaths)]
}

func (s *Set) plan(ref inventory.Ref, verdict planned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.planned == nil {
		s.planned = map[inventory.Ref]planned{}
	}
	s.planned[ref] = verdict
}

func (s *Set) plannedOf(ref inventory.Ref) (planned, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	verdict, ok := s.planned[ref]
	return verdict, ok
}

// retainPlanned drops the verdicts on objects that are not desired any more.
func (s *Set) retainPlanned(desired []*Desired) {
	wanted := make(map[inventory.Ref]struct{}, len(desired))
	for _, d := range desired {
		wanted[d.Ref] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range s.planned {
		if _, ok := wanted[ref]; !ok {
			delete(s.planned, ref)
		}
	}
}
