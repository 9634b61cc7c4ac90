// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	apiwatch "k8s.io/apimachinery/pkg/watch"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// request is a wait for single objects, each read and watched as the tenant.
type request struct {
	what     string
	timeout  time.Duration
	failFast bool
	objects  []*unstructured.Unstructured
	// judge says how a live object does. It is not asked about one that is gone.
	judge func(obj, live *unstructured.Unstructured) health.Result
	// gone judges an object that is not there; nil for one that is missed.
	gone func(obj *unstructured.Unstructured) health.Result
	// again has the judge asked anew after that time; zero for events alone.
	again time.Duration
}

// await waits for single objects. Their watches end with it.
func (c *Client) await(r request) error {
	if len(r.objects) == 0 {
		return nil
	}
	// Not for the timeout alone: time in a queue does not count.
	ctx, cancel := context.WithCancel(c.context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	followers := make([]*follower, len(r.objects))
	signals := make(chan struct{}, 1)
	first := make(chan struct{}, len(r.objects))
	for i, obj := range r.objects {
		f := &follower{client: c, request: &r, obj: obj, signals: signals}
		followers[i] = f
		group.Go(func() { f.run(ctx, func() { first <- struct{}{} }) })
	}
	patience := time.After(r.timeout)
begun:
	for range followers {
		select {
		case <-first:
		case <-patience:
			break begun
		}
	}
	return c.wait(r.what, r.timeout, r.failFast, signals, func(context.Context) look {
		seen := look{again: r.again}
		now := time.Now()
		for _, f := range followers {
			seen.add(apply.Ailing{Ref: inventory.RefOf(f.obj), Health: f.health()}, now)
		}
		return seen
	})
}

// follower knows how one object does.
type follower struct {
	client  *Client
	request *request
	obj     *unstructured.Unstructured
	signals chan<- struct{}

	mu   sync.Mutex
	live *unstructured.Unstructured
	err  error
}

// health judges the object as it was last seen.
func (f *follower) health() health.Result {
	f.mu.Lock()
	live, err := f.live, f.err
	f.mu.Unlock()
	switch {
	case err != nil:
		return unreadable(inventory.Ref{}, err).Health
	case live != nil:
		return f.request.judge(f.obj, live)
	case f.request.gone != nil:
		return f.request.gone(f.obj)
	}
	return lenient(f.obj, health.Result{Status: health.NotFound, Message: "not in the cluster"}, true)
}

func (f *follower) see(live *unstructured.Unstructured, err error) {
	f.mu.Lock()
	f.live, f.err = live, err
	f.mu.Unlock()
	select {
	case f.signals <- struct{}{}:
	default:
	}
}

// breather is the least time between two watches of an object.
const breather = 200 * time.Millisecond

// run reads the object, calls first, and keeps up with it until ctx ends.
func (f *follower) run(ctx context.Context, first func()) {
	for {
		live, err := f.client.get(ctx, f.obj)
		if ctx.Err() == nil || f.live == nil {
			f.see(live, err)
		}
		if first != nil {
			first()
			first = nil
		}
		rest := breather
		if err != nil || f.watch(ctx, live) {
			rest = pollInterval
		}
		pause(ctx, nil, rest)
		if ctx.Err() != nil {
			return
		}
	}
}

// watch sees changes of the object until the watch ends, and reports whether
// there may be none.
func (f *follower) watch(ctx context.Context, live *unstructured.Unstructured) (refused bool) {
	resource, err := f.client.resource(f.obj)
	if err != nil {
		return noKind(err)
	}
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, f.obj.GetName()).String()}
	if live != nil {
		options.ResourceVersion = live.GetResourceVersion()
	}
	events, err := resource.Watch(ctx, options)
	if err != nil {
		if apierrors.IsForbidden(err) || apierrors.IsMethodNotSupported(err) {
			f.client.polls(kindOf(f.obj))
			return true
		}
		return false
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		seen, ok := event.Object.(*unstructured.Unstructured)
		switch {
		case !ok || event.Type == apiwatch.Error:
			return false
		case event.Type == apiwatch.Deleted:
			f.see(nil, nil)
		case event.Type == apiwatch.Added, event.Type == apiwatch.Modified:
			f.see(seen, nil)
		}
	}
	return false
}

// WaitGone returns when none of the objects is there any more.
func (c *Client) WaitGone(objects []*unstructured.Unstructured, timeout time.Duration) error {
	defer c.idle()()
	left, err := c.remaining(objects)
	if err != nil {
		return err
	}
	return c.await(request{
		what: "to be gone", timeout: timeout, objects: left,
		judge: func(_, live *unstructured.Unstructured) health.Result { return lingering(live) },
		gone:  func(*unstructured.Unstructured) health.Result { return health.Result{Status: health.Current} },
	})
}

// remaining returns those objects that are still there: most are gone as soon as
// that was asked for.
func (c *Client) remaining(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	seen, err := c.each(objects, func(w *Written) error {
		var err error
		w.Live, err = c.get(c.context(), w.Object)
		return err
	})
	var left []*unstructured.Unstructured
	for _, w := range seen {
		if w.Live != nil {
			left = append(left, w.Object)
		}
	}
	return left, err
}

// lingering says why an object is still there.
func lingering(live *unstructured.Unstructured) health.Result {
	result := health.Result{Status: health.Terminating, Message: "it is still there"}
	switch finalizers := live.GetFinalizers(); {
	case live.GetDeletionTimestamp() == nil:
		result.Status, result.Message = health.InProgress, "it is there and not being deleted"
	case len(finalizers) > 0:
		result.Message = "it is held by the finalizers " + quoted(finalizers)
	}
	return result
}
