// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Apply sends an object as it is to be, and returns it as it is then. Nobody
// follows it: it becomes no member of a set.
func (c *Client) Apply(ctx context.Context, d *Desired) (*unstructured.Unstructured, error) {
	live, err := c.send(ctx, d, d.data, false)
	if err != nil {
		return nil, &ObjectError{Ref: d.Ref, Doing: "apply", Origin: d.Origin, Err: err}
	}
	return live, nil
}

// Writing has changes of the members of a set kept until the caller has written
// and calls the function: by then the owner is woken if one was changed by
// somebody else.
func (e *Engine) Writing(set *Set) (done func()) {
	set.begin()
	return func() { e.end(set) }
}

// Write applies an object in one request, with no dry-run before it, and makes
// it a member of the set. Fields that a manager claims which is taken over
// become ours in two more requests. Everything that the object declares is
// written, also where rules or autoscalers have the watch leave it to others.
func (e *Engine) Write(ctx context.Context, set *Set, d *Desired, client *Client) (*unstructured.Unstructured, error) {
	live, err := client.Apply(ctx, d)
	if err != nil {
		return nil, err
	}
	exempt := e.exempt(live, set)
	for try := 1; d.Policy != Merge && watch.HasClaims(live, e.config.Watch.Managers, exempt); try++ {
		next, err := e.takeOver(ctx, client, set, d, live)
		if err == nil {
			live = next
			break
		}
		if !apierrors.IsConflict(err) || try == leaveTries {
			return nil, err
		}
		if live, err = client.Get(ctx, d.Ref, d.GVK.Version); err != nil {
			return nil, &ObjectError{Ref: d.Ref, Doing: "read", Origin: d.Origin, Err: err}
		}
	}
	set.put(d, e.pool.Record(live).Owned, d.Left)
	return live, nil
}

// takeOver makes the claims of other managers ours, and applies once more: what
// they claimed and the object does not declare goes.
func (e *Engine) takeOver(ctx context.Context, client *Client, set *Set, d *Desired, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	patches, err := takeOverPatch(live, e.config.Watch.Managers, e.exempt(live, set))
	if err == nil && len(patches) > 0 {
		_, err = client.patchMetadata(ctx, live, patches)
	}
	if err != nil {
		return nil, &ObjectError{Ref: d.Ref, Doing: "takeover", Origin: d.Origin, Err: err}
	}
	return client.Apply(ctx, d)
}

// Listen has changes of an owner's objects signalled on the channel from now on,
// instead of waking the owner, until the function is called. One signal may
// stand for many changes.
func (e *Engine) Listen(owner types.NamespacedName) (signals <-chan struct{}, stop func()) {
	listener := make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners[owner] = listener
	return listener, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.listeners[owner] == listener {
			delete(e.listeners, owner)
		}
	}
}

// signal tells a listener of an owner, and reports whether there is one. The
// caller holds the lock.
func (e *Engine) signal(owner types.NamespacedName) bool {
	listener, ok := e.listeners[owner]
	if !ok {
		return false
	}
	select {
	case listener <- struct{}{}:
	default: // it has not looked since the last signal
	}
	return true
}

// lagPatience is how long a record may differ from what the last apply returned
// before the live object is read: mostly the watch is behind for some
// milliseconds, and now and then somebody has changed the object at once.
const lagPatience = time.Second

// Await judges one member of a set, be it left alone or not, by a state that is
// no older than its last apply. Lagging is set if the watch does not show such a
// state, yet or because the object has lost the owner's labels: ask again after
// that time, if no change is told of before.
func (e *Engine) Await(ctx context.Context, set *Set, client *Client, ref inventory.Ref) (judged Ailing, lagging time.Duration, err error) {
	m := set.get(ref)
	if m == nil {
		return Ailing{}, 0, fmt.Errorf("%s was not applied", ref)
	}
	record, err := e.lookup(ctx, client, set, &m.desired)
	if err != nil {
		return Ailing{}, 0, err
	}
	if record == nil || !same(record.Owned, m.owned, e.scaled(ref)) && (m.accepted == nil || *m.accepted != record.Owned) {
		if wait := lagPatience - time.Since(m.since); wait > 0 {
			unseen := health.Result{Status: health.InProgress, Message: "waiting for the applied state to be seen"}
			return Ailing{Ref: ref, Health: unseen}, wait, nil
		}
		live, err := client.Get(ctx, ref, m.desired.GVK.Version)
		if apierrors.IsNotFound(err) {
			return missing(ref), 0, nil
		}
		if err != nil {
			return Ailing{}, 0, &ObjectError{Ref: ref, Doing: "read", Origin: m.desired.Origin, Err: err}
		}
		if record == nil {
			lagging = lagPatience
		}
		record = e.pool.Record(live)
		m.accepted = &record.Owned
	}
	return Ailing{Ref: ref, Health: record.Health, UID: record.UID}, lagging, nil
}

// Drop forgets members that somebody has deleted for the owner: nobody is to
// miss them.
func (s *Set) Drop(ref inventory.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, ref)
}

// indulge takes the live object of a step for what was applied, if that is
// wanted and nothing but the managers of its fields would change.
func (p *planner) indulge(ctx context.Context, s *step, outcome *unstructured.Unstructured) error {
	if !p.opts.Hold || !p.opts.Indulge || s.action != Configured {
		return nil
	}
	live, err := p.liveOf(ctx, s)
	if err != nil || live == nil {
		return err
	}
	if alike(withoutStatus(live), withoutStatus(outcome)) {
		s.action, s.cleanup, s.owned = Unchanged, false, p.engine.pool.Record(live).Owned
	}
	return nil
}

func withoutStatus(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: maps.Clone(obj.Object)}
	delete(out.Object, "status")
	return out
}
