// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/pkg/watch"
)

// Action is what a plan means to do with an object.
type Action string

// The actions of a plan. Created, Configured and Recreated write.
const (
	Unchanged  Action = "unchanged"
	Skipped    Action = "skipped"
	Created    Action = "created"
	Configured Action = "configured"
	Recreated  Action = "recreated"
	// Deferred objects cannot be judged before an earlier stage is written.
	Deferred Action = "deferred"
	// Deleted objects are pruned.
	Deleted Action = "deleted"
)

// writes reports whether an action changes the cluster.
func (a Action) writes() bool {
	return a == Created || a == Configured || a == Recreated || a == Deferred
}

// step is one object of a plan.
type step struct {
	*Desired
	action Action
	// cleanup is set if the live object has claims or marks to be removed
	// before it is applied.
	cleanup bool
	// live is the object as it was read, if fields of it may have to be left
	// to others.
	live *unstructured.Unstructured
	// owned is the fingerprint of the outcome, as far as it is known.
	owned watch.Owned
	// paths that would change, if the plan is only to be shown, and how many
	// more there are.
	paths   []string
	omitted int
	// demand is what the step changes of what is asked for in devices.
	demand demand
}

// planner decides what to do with each object of one apply.
type planner struct {
	engine *Engine
	set    *Set
	client *Client
	opts   *Options
	// explains is set if the plan is to be shown, and not carried out.
	explains bool

	mu sync.Mutex
	// namespaces that this apply will create, and kinds whose definition it
	// declares: objects in or of them may have to wait.
	namespaces map[string]struct{}
	kinds      map[schema.GroupKind]struct{}
	// made are the names of the objects of stages up to stageEarly that this
	// apply will create: others may refer to them.
	made map[string]struct{}
}

// newPlanner returns a planner, and gives each object its stage.
func (e *Engine) newPlanner(set *Set, desired []*Desired, opts *Options) *planner {
	for _, d := range desired {
		d.stage = e.stageOf(d.Ref.GroupKind())
	}
	return &planner{
		engine: e, set: set, client: opts.Client, opts: opts,
		namespaces: map[string]struct{}{}, kinds: map[schema.GroupKind]struct{}{}, made: map[string]struct{}{},
	}
}

// plan dry-runs every object that is not known to be unchanged. It writes
// nothing. The error lists every object that the API server refuses.
func (p *planner) plan(ctx context.Context, desired []*Desired) ([]*step, error) {
	steps := make([]*step, len(desired))
	for i, d := range desired {
		steps[i] = &step{Desired: d}
		if kind, ok := definedKind(d.Object); ok {
			p.kinds[kind] = struct{}{}
		}
	}
	// Definitions first, then what is early: whether a namespace or a role is
	// new tells what is to be made of a refusal to look into it.
	var errs []error
	for rest := steps; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(s *step) bool { return round(s.stage) != round(rest[0].stage) })
		if n < 0 {
			n = len(rest)
		}
		errs = append(errs, p.judgeAll(ctx, rest[:n])...)
		rest = rest[n:]
	}
	return steps, joinErrors(errs)
}

// round is when the objects of a stage are dry-run.
func round(s stage) int {
	switch {
	case s == stageDefinitions:
		return 0
	case s <= stageEarly:
		return 1
	}
	return 2
}

// judgeAll decides on each step, in parallel, and returns the refusals in the
// order of the steps.
func (p *planner) judgeAll(ctx context.Context, steps []*step) []error {
	errs := make([]error, len(steps))
	var group errgroup.Group
	group.SetLimit(p.engine.config.Concurrency)
	for i, s := range steps {
		group.Go(func() error {
			errs[i] = p.judge(ctx, s)
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is in errs
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// judge decides on one step, with a dry-run if what is known does not do.
func (p *planner) judge(ctx context.Context, s *step) error {
	record, err := p.engine.lookup(ctx, p.client, p.set, s.Desired)
	if err != nil && !meta.IsNoMatchError(err) {
		return &ObjectError{Ref: s.Ref, Doing: "read", Origin: s.Origin, Err: err}
	}
	if record != nil {
		s.demand.before = record.Demand
	}
	if p.known(s, record) || p.recalled(s, record) {
		return nil
	}
	if s.live, err = p.engine.readForLeave(ctx, p.client, p.set, s.Desired); err != nil {
		return err
	}
	data, err := p.engine.sendable(p.set, s.Desired, s.live, true)
	if err != nil {
		return err
	}
	if s.live != nil {
		record = p.engine.pool.Record(s.live) // what was sent is made of this one
	}
	result, err := p.client.send(ctx, s.Desired, data, true)
	if err != nil {
		return p.refused(ctx, s, err)
	}
	p.compare(s, record, result)
	if err := p.indulge(ctx, s, result); err != nil {
		return err
	}
	p.foresee(s, record, result)
	return p.explain(ctx, s, record, result)
}

// known settles a step without a request, if it can.
func (p *planner) known(s *step, record *watch.Record) bool {
	switch {
	case s.Left, s.Policy == Ignore, record != nil && s.Policy == IfNotPresent:
		s.action = Skipped
	case record != nil && record.Left:
		s.action = Unchanged
	case record == nil && p.opts.Completed != nil && p.opts.Completed(s.Ref, s.Digest):
		s.action = Skipped
	case record != nil && p.set.unchanged(s.Desired, record, p.engine.scaled(s.Ref)):
		s.action, s.owned = Unchanged, record.Owned
	default:
		return false
	}
	return true
}

// compare decides by the outcome of a dry-run: an object whose fingerprint it
// leaves as it is needs no write.
func (p *planner) compare(s *step, record *watch.Record, result *unstructured.Unstructured) {
	if result.GetResourceVersion() == "" {
		s.action = Created
		p.note(s)
		return
	}
	outcome := p.engine.pool.Record(result)
	switch {
	case outcome.Left && record == nil:
		s.action = Skipped // never ours, so that no watch will tell of it
		return
	case outcome.Left:
		s.action = Unchanged
		return
	case s.Policy == IfNotPresent:
		s.action = Skipped
		return
	case s.Policy != Merge && !outcome.Merges:
		s.cleanup = p.engine.needsCleanup(result, p.set)
	}
	s.action, s.owned = Configured, outcome.Owned
	if record != nil && !s.cleanup && same(record.Owned, outcome.Owned, p.engine.scaled(s.Ref)) {
		s.action, s.owned = Unchanged, record.Owned
	}
}

// note remembers an object that will be new to those that refer to it.
func (p *planner) note(s *step) {
	if s.stage > stageEarly {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.Ref.Kind == "Namespace" && s.Ref.Group == "" {
		p.namespaces[s.Ref.Name] = struct{}{}
	}
	p.made[s.Ref.Name] = struct{}{}
}

// refused decides what a failed dry-run means.
func (p *planner) refused(ctx context.Context, s *step, err error) error {
	if p.comesLater(s, err) {
		s.action = Deferred
		return nil
	}
	if immutable(err) && (s.Force || p.opts.Force || p.engine.asksForce(ctx, p.client, s.Desired)) {
		if cause := p.client.creatable(ctx, s.Desired); cause != nil {
			return &ObjectError{Ref: s.Ref, Doing: "dry-run", Origin: s.Origin, Err: cause}
		}
		s.action, s.paths = Recreated, fieldsAtFault(err)
		return nil
	}
	return &ObjectError{Ref: s.Ref, Doing: "dry-run", Origin: s.Origin, Err: err}
}

// asksForce reports whether the live object asks to be recreated.
func (e *Engine) asksForce(ctx context.Context, client *Client, d *Desired) bool {
	live, err := client.Get(ctx, d.Ref, d.GVK.Version)
	return err == nil && watch.HasMark(live, e.config.Keys.force()...)
}

// comesLater reports whether err is only that an earlier stage of this very
// apply is still to be written.
func (p *planner) comesLater(s *step, err error) bool {
	if s.stage == stageDefinitions {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, declared := p.kinds[s.Ref.GroupKind()]; declared && (meta.IsNoMatchError(err) || apierrors.IsNotFound(err)) {
		return true
	}
	if !apierrors.IsNotFound(err) {
		return false
	}
	_, created := p.namespaces[s.Ref.Namespace]
	return created || p.misses(err)
}

// misses reports whether a refusal is about an object that this apply will
// create, such as the role of a binding. The API server gives its name, but not
// its kind. The caller holds the lock.
func (p *planner) misses(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || status.ErrStatus.Details == nil {
		return false
	}
	_, made := p.made[status.ErrStatus.Details.Name]
	return made
}

// definedKind returns the kind that a CustomResourceDefinition defines.
func definedKind(obj *unstructured.Unstructured) (schema.GroupKind, bool) {
	if obj.GetKind() != "CustomResourceDefinition" {
		return schema.GroupKind{}, false
	}
	group, _, _ := unstructured.NestedString(obj.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(obj.Object, "spec", "names", "kind")
	return schema.GroupKind{Group: group, Kind: kind}, kind != ""
}
