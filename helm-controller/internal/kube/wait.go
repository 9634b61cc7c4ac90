// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/complaint"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// WaitError says which objects did not become what was waited for, and why.
type WaitError struct {
	// What was waited for, such as "to be ready".
	What string
	// Timeout is set if time ran out, and not if an object failed.
	Timeout bool
	// Ailing are the objects at fault, with what they and their pods say.
	Ailing []apply.Ailing
}

func (e *WaitError) Error() string {
	if e.Timeout {
		return fmt.Sprintf("timeout waiting for objects %s: %s", e.What, apply.Describe(e.Ailing))
	}
	return fmt.Sprintf("waiting for objects %s failed: %s", e.What, apply.Describe(e.Ailing))
}

const (
	// pollInterval is how often objects are looked at that may not be watched.
	pollInterval = 2 * time.Second
	// maxExplained is how many objects a message names, and so how many are worth
	// explaining.
	maxExplained = 5
)

var (
	deployment = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	job        = schema.GroupKind{Group: "batch", Kind: "Job"}
	pod        = schema.GroupKind{Kind: "Pod"}
)

// look is how the objects that are waited for are now.
type look struct {
	failed, pending []apply.Ailing
	// again is when to look again although no signal may come. Zero: never.
	again time.Duration
}

// add puts an object where it belongs.
func (l *look) add(a apply.Ailing, now time.Time) {
	switch {
	case a.Health.Status == health.Current:
	case a.Health.Status != health.Failed:
		l.pending = append(l.pending, a)
	default:
		if left := time.Unix(a.Health.FailedAt, 0).Sub(now); left > 0 {
			l.pending = append(l.pending, a) // it may be over by itself until then
			l.soon(left)
			return
		}
		l.failed = append(l.failed, a)
	}
}

func (l *look) soon(after time.Duration) {
	if after > 0 && (l.again == 0 || after < l.again) {
		l.again = after
	}
}

// queued reports whether all that is waited for is in a queue, such as Jobs that
// Kueue keeps suspended until there are GPUs for them.
func (l *look) queued() bool {
	return len(l.pending) > 0 && !slices.ContainsFunc(l.pending, func(a apply.Ailing) bool { return a.Health.Status != health.Queued })
}

// wait looks at every signal until all objects are well, or one has failed and
// either that is enough or nothing is left to wait for. While all of them are in a
// queue no time runs: it begins anew when they have left it.
func (c *Client) wait(what string, timeout time.Duration, failFast bool, signals <-chan struct{}, at func(context.Context) look) error {
	deadline := time.Now().Add(timeout)
	var last look
	for {
		waited := last.queued()
		now, over := until(c.context(), deadline, at)
		if !over || len(last.failed)+len(last.pending) == 0 {
			last = now // a look that time has cut short says less than the one before
		}
		switch {
		case c.context().Err() != nil:
			return c.ended(what)
		case len(now.failed) == 0 && len(now.pending) == 0:
			return nil
		case len(now.failed) > 0 && (failFast || len(now.pending) == 0):
			return c.failure(what, false, now.failed)
		case waited || last.queued():
			deadline = time.Now().Add(timeout)
		case over:
			return c.failure(what, true, slices.Concat(last.failed, last.pending))
		}
		now.soon(max(time.Until(deadline), time.Millisecond))
		pause(c.context(), signals, now.again)
	}
}

// until looks, but for no longer than to the deadline, and reports whether that
// has passed.
func until(ctx context.Context, deadline time.Time, at func(context.Context) look) (now look, over bool) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	now = at(ctx)
	return now, ctx.Err() != nil
}

// ended says why the action, and with it a wait, has ended.
func (c *Client) ended(what string) error {
	return fmt.Errorf("the wait for objects %s was ended: %w", what, context.Cause(c.context()))
}

// pause returns at a signal, after the given time, or when ctx ends.
func pause(ctx context.Context, signals <-chan struct{}, after time.Duration) {
	var alarm <-chan time.Time
	if after > 0 {
		timer := time.NewTimer(after)
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-signals:
	case <-alarm:
	case <-ctx.Done():
	}
}

// failure names the objects at fault, with what their pods last complained of.
func (c *Client) failure(what string, timeout bool, ailing []apply.Ailing) error {
	ctx, cancel := context.WithTimeout(c.context(), explainTimeout)
	defer cancel()
	ailing = slices.SortedFunc(slices.Values(ailing), func(a, b apply.Ailing) int { return cmp.Compare(a.String(), b.String()) })
	for i := range ailing[:min(len(ailing), maxExplained)] {
		result := &ailing[i].Health
		switch text := complaint.Of(ctx, c.client.Dynamic, ailing[i].Ref); {
		case text == "":
		case result.Message == "":
			result.Message = text
		default:
			result.Message += "; " + text
		}
	}
	return &WaitError{What: what, Timeout: timeout, Ailing: ailing}
}

const ready = "to be ready"

// WaitReady returns when all objects are well, the jobs among them also complete
// if that is asked for. It fails at the first one that cannot recover by itself.
// Objects that were written by this client are followed by the shared watch;
// kinds that may not be watched are read as the tenant every two seconds.
func (c *Client) WaitReady(objects []*unstructured.Unstructured, jobs bool, timeout time.Duration) error {
	defer c.idle()()
	awaited := slices.DeleteFunc(Last(objects), paused)
	var followed, others []*unstructured.Unstructured
	for _, obj := range awaited {
		if c.ServerSide && c.set.Member(inventory.RefOf(obj)) {
			followed = append(followed, obj)
		} else {
			others = append(others, obj)
		}
	}
	begun := time.Now()
	if err := c.waitMembers(followed, jobs, timeout); err != nil {
		return err
	}
	return c.await(request{
		what: ready, timeout: max(timeout-time.Since(begun), minTimeout), failFast: true, objects: others,
		judge: func(obj, live *unstructured.Unstructured) health.Result { return lenient(obj, c.Checks.Of(live), jobs) },
	})
}

// minTimeout is for what is left to wait for when the rest took all the time: to
// look once.
const minTimeout = 100 * time.Millisecond

// waitMembers waits for members of the set by the shared watch.
func (c *Client) waitMembers(objects []*unstructured.Unstructured, jobs bool, timeout time.Duration) error {
	if len(objects) == 0 {
		return nil
	}
	signals, stop := c.Engine.Listen(c.Owner)
	defer stop()
	c.Engine.Judge(c.set, c.Checks)
	if err := c.Engine.Watch(c.context(), c.set, inventoryOf(objects), nil); err != nil {
		if c.context().Err() != nil {
			return c.ended(ready)
		}
		return fmt.Errorf("watch the objects of the release: %w", err)
	}
	return c.wait(ready, timeout, true, signals, func(ctx context.Context) look {
		var seen look
		if kinds := c.Engine.Unwatched(c.set); len(kinds) > 0 {
			c.polls(kinds...)
			seen.soon(pollInterval)
		}
		now := time.Now()
		for _, obj := range objects {
			ref := inventory.RefOf(obj)
			ailing, lag, err := c.Engine.Await(ctx, c.set, c.client, ref)
			if err != nil {
				ailing, lag = unreadable(ref, err), pollInterval
			}
			seen.soon(lag)
			ailing.Health = lenient(obj, ailing.Health, jobs)
			seen.add(ailing, now)
		}
		return seen
	})
}

// unreadable is an object of which nothing is known.
func unreadable(ref inventory.Ref, err error) apply.Ailing {
	return apply.Ailing{Ref: ref, Health: health.Result{Status: health.Unknown, Message: err.Error()}}
}

// lenient passes what is not waited for as well: work that is under way if jobs
// are not waited for, and jobs that removed themselves when they were done.
func lenient(obj *unstructured.Unstructured, result health.Result, jobs bool) health.Result {
	kind := obj.GroupVersionKind().GroupKind()
	_, removed, _ := unstructured.NestedInt64(obj.Object, "spec", "ttlSecondsAfterFinished")
	switch {
	case kind == job && removed && result.Status == health.NotFound,
		!jobs && (result.Ends || health.RunsToCompletion(kind)) && (result.Status == health.InProgress || result.Status == health.Queued):
		return health.Result{Status: health.Current}
	}
	return result
}

// paused reports whether an object is a Deployment that will not progress because
// the chart says so.
func paused(obj *unstructured.Unstructured) bool {
	held, _, _ := unstructured.NestedBool(obj.Object, "spec", "paused")
	return held && obj.GroupVersionKind().GroupKind() == deployment
}

// polls notes that kinds are polled because they may not be watched.
func (c *Client) polls(kinds ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var news []string
	for _, kind := range kinds {
		if _, known := c.unwatched[kind]; !known {
			c.unwatched[kind] = struct{}{}
			news = append(news, kind)
		}
	}
	if len(news) > 0 {
		c.Log.Info("these kinds may not be watched; they are read every " + pollInterval.String() + ": " + strings.Join(news, ", "))
	}
}

// Unwatched returns the kinds that had to be polled so far.
func (c *Client) Unwatched() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := make([]string, 0, len(c.unwatched))
	for kind := range c.unwatched {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}
