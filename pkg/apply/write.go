// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Options of one apply.
type Options struct {
	// Client sends everything, as the tenant.
	Client *Client
	// Force recreates any object whose change is immutable.
	Force bool
	// Completed reports whether an object that is not there has run to
	// completion at this digest, and so must not be created again.
	Completed func(ref inventory.Ref, digest string) bool
	// Stale is what will be pruned after the apply. It counts for Gate alone.
	Stale inventory.Inventory
	// Gate is asked once, when the plan is known and before BeforeWrite, whether
	// what it changes of what is asked for in devices may be; also if that is
	// nothing. What it returns is left as it is for now, and so are quotas that
	// take room away. Its error stops the apply, and nothing is written. Nil: all
	// may be.
	Gate func(ctx context.Context, change gate.Change) (Leave, error)
	// BeforeWrite is called once, between the last dry-run that can be done
	// beforehand and the first write. Its error stops the apply.
	BeforeWrite func(ctx context.Context) error
	// Insist makes Correct put contested paths back as well, and Inspect look
	// again at what it has looked at.
	Insist bool
	// Hold makes Apply write nothing. What it would write is held for drift
	// from what was applied before, as it is after a restart.
	Hold bool
	// Indulge has Hold take an object for what was applied if an apply would change
	// nothing of it but whose fields they are.
	Indulge bool
	// StageTimeout bounds the wait for definitions to take effect.
	StageTimeout time.Duration
}

// Change is what happened to one object.
type Change struct {
	Ref    inventory.Ref
	Action Action
}

func (c Change) String() string { return c.Ref.String() + " " + string(c.Action) }

// Apply makes the cluster equal to the desired objects and returns what it
// did, in the order of the stages. Whatever can be dry-run is, before the
// first write; if any of it is refused, nothing is written. An error after
// that says what was written.
func (e *Engine) Apply(ctx context.Context, set *Set, desired []*Desired, opts Options) ([]Change, error) {
	p := e.newPlanner(set, desired, &opts)
	steps, err := p.plan(ctx, desired)
	if err != nil {
		return nil, err
	}
	if !opts.Hold {
		if steps, err = p.passGate(ctx, steps); err != nil {
			return nil, err
		}
	}
	if opts.BeforeWrite != nil && !opts.Hold && slices.ContainsFunc(steps, func(s *step) bool { return s.action.writes() }) {
		if err := opts.BeforeWrite(ctx); err != nil {
			return nil, err
		}
	}
	if opts.Hold {
		return set.hold(steps), nil
	}
	set.begin()
	defer e.end(set)
	w := &writer{planner: p}
	if err := w.writeStages(ctx, steps); err != nil {
		return w.changes, w.partial(err)
	}
	return w.changes, nil
}

// hold takes the outcome of a plan for what was applied.
func (s *Set) hold(steps []*step) []Change {
	changes := make([]Change, len(steps))
	for i, step := range steps {
		skipped := step.action == Skipped
		if step.cleanup {
			step.owned = watch.Owned{} // it never looks like that: others have claims on it
		}
		s.put(step.Desired, step.owned, skipped)
		s.get(step.Ref).since = time.Time{} // no watch is behind
		changes[i] = Change{Ref: step.Ref, Action: Unchanged}
		if skipped {
			changes[i].Action = Skipped
		}
	}
	return changes
}

// writer carries out a plan.
type writer struct {
	*planner
	changes []Change
}

func (w *writer) writeStages(ctx context.Context, steps []*step) error {
	for _, stage := range stages {
		var current []*step
		for _, s := range steps {
			if s.stage == stage {
				current = append(current, s)
			}
		}
		if err := w.writeStage(ctx, current); err != nil {
			return err
		}
		if stage == stageDefinitions {
			if err := w.awaitDefinitions(ctx, current); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeStage judges what was deferred, then writes. Nothing of a stage is
// written if any of it is refused.
func (w *writer) writeStage(ctx context.Context, steps []*step) error {
	var deferred []*step
	for _, s := range steps {
		if s.action == Deferred {
			deferred = append(deferred, s)
		}
	}
	// What was missing is there now: another refusal is final.
	clear(w.namespaces)
	clear(w.kinds)
	clear(w.made)
	if err := w.judgeDeferred(ctx, deferred); err != nil {
		return err
	}
	errs := make([]error, len(steps))
	var group errgroup.Group
	group.SetLimit(w.engine.config.Concurrency)
	for i, s := range steps {
		group.Go(func() error {
			errs[i] = w.write(ctx, s)
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is in errs
	for i, s := range steps {
		if errs[i] == nil {
			w.changes = append(w.changes, Change{Ref: s.Ref, Action: s.action})
		}
	}
	return joinErrors(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

// judgeDeferred decides on objects whose namespace or kind was only just made.
// The API server serves a new kind a moment after it says that it does.
func (w *writer) judgeDeferred(ctx context.Context, steps []*step) error {
	var refused error
	err := wait.PollUntilContextTimeout(ctx, definitionPoll, w.opts.StageTimeout, true, func(ctx context.Context) (bool, error) {
		errs := w.judgeAll(ctx, steps)
		refused = joinErrors(errs)
		return !slices.ContainsFunc(errs, notThere), nil
	})
	if refused != nil {
		return refused
	}
	return err
}

// notThere reports whether a kind or namespace is missing.
func notThere(err error) bool {
	return apierrors.IsNotFound(err) || errors.As(err, new(*meta.NoKindMatchError)) || errors.As(err, new(*meta.NoResourceMatchError))
}

// write carries out one step and records the outcome in the set.
func (w *writer) write(ctx context.Context, s *step) error {
	switch s.action {
	case Unchanged, Skipped:
		w.set.put(s.Desired, s.owned, s.action == Skipped)
		return nil
	case Recreated:
		if err := w.client.remove(ctx, s.Ref, s.GVK.Version, w.opts.StageTimeout); err != nil {
			return err
		}
		s.live = nil
	case Created, Deferred, Deleted: // nothing is in the way, or to be written
	case Configured:
		if s.cleanup {
			live, err := w.engine.cleanUp(ctx, w.client, w.set, s.Desired)
			if err != nil {
				return err
			}
			if s.live != nil {
				s.live = live
			}
		}
	}
	result, err := w.engine.send(ctx, w.client, w.set, s.Desired, s.live)
	if err != nil {
		if unanswered(err) {
			w.set.assume(s.Desired)
		}
		return &ObjectError{Ref: s.Ref, Doing: "apply", Origin: s.Origin, Err: err}
	}
	w.set.put(s.Desired, w.engine.pool.Record(result).Owned, false)
	return nil
}

// unanswered reports whether a request may have been carried out although it
// failed: nobody said that it was refused.
func unanswered(err error) bool {
	var status apierrors.APIStatus // not an error type, so AsType does not do
	return !errors.As(err, &status) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err)
}

// partial adds to an error what was written before it.
func (w *writer) partial(err error) error {
	var written []string
	for _, change := range w.changes {
		if change.Action.writes() {
			written = append(written, change.String())
		}
	}
	if len(written) == 0 {
		return err
	}
	more := ""
	if rest := len(written) - maxErrors; rest > 0 {
		written, more = written[:maxErrors], fmt.Sprintf(" and %d more", rest)
	}
	return fmt.Errorf("%w (applied before: %s%s)", err, strings.Join(written, ", "), more)
}

// definitionPoll is how often a new definition is asked whether it is in
// effect; it mostly is at the second look.
const definitionPoll = 50 * time.Millisecond

// awaitDefinitions returns when what the first stage changed is in effect.
func (w *writer) awaitDefinitions(ctx context.Context, steps []*step) error {
	for _, s := range steps {
		if !s.action.writes() {
			continue
		}
		err := wait.PollUntilContextTimeout(ctx, definitionPoll, w.opts.StageTimeout, true, func(ctx context.Context) (bool, error) {
			live, err := w.client.Get(ctx, s.Ref, s.GVK.Version)
			if err != nil {
				return false, err
			}
			return inEffect(live), nil
		})
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("it did not take effect in time")
		}
		if err != nil {
			return &ObjectError{Ref: s.Ref, Doing: "wait", Origin: s.Origin, Err: err}
		}
	}
	return nil
}

// inEffect reports whether a definition can be built upon.
func inEffect(obj *unstructured.Unstructured) bool {
	switch obj.GetKind() {
	case "Namespace":
		phase, _, _ := unstructured.NestedString(obj.Object, "status", "phase")
		return phase == "Active"
	case "CustomResourceDefinition":
		conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
		return slices.ContainsFunc(conditions, func(item any) bool {
			c, _ := item.(map[string]any)
			return c["type"] == "Established" && c["status"] == "True"
		})
	}
	return true
}

// remove deletes a live object and waits until it is gone.
func (c *Client) remove(ctx context.Context, ref inventory.Ref, version string, timeout time.Duration) error {
	live, err := c.Get(ctx, ref, version)
	if err == nil {
		err = c.deleteObject(ctx, live)
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return &ObjectError{Ref: ref, Doing: "delete", Err: err}
	}
	err = wait.PollUntilContextTimeout(ctx, definitionPoll, timeout, false, func(ctx context.Context) (bool, error) {
		again, err := c.Get(ctx, ref, version)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && again.GetUID() != live.GetUID(), err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("it is still there, held by a finalizer")
	}
	if err != nil {
		return &ObjectError{Ref: ref, Doing: "delete", Err: err}
	}
	return nil
}
