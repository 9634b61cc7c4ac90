// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package recount keeps the ledgers right: it counts what pods hold, settles
// what was reserved for them, keeps slots for workloads that replace pods, and
// ends grants. It runs on the leader only. Webhooks add to a ledger, the recount
// replaces what it says.
package recount

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/ledger"
)

const (
	// pace is the least time between two counts of a root, and how long changes
	// are collected by which nothing ended.
	pace = 50 * time.Millisecond
	// sweepEvery is how often all ledgers are looked at for reservations that
	// come to nothing, grants, and pods of which the watch said nothing.
	sweepEvery = 20 * time.Second
	// askEvery is how often owners of slots are asked what they want.
	askEvery = time.Second
	// behindFor is how long the pods may be older than a ledger before they are
	// listed anew.
	behindFor = 5 * time.Second
	// workers is how many roots are counted at a time.
	workers = 4
)

// Ledger is where records are kept.
type Ledger interface {
	Get(ctx context.Context, root string) (*ledger.Record, error)
	Update(ctx context.Context, root string, change func(*ledger.Record) error) error
	Roots(ctx context.Context) ([]string, error)
	Delete(ctx context.Context, root string) error
}

// Walker finds out who made pods and what these want.
type Walker interface {
	Walk(ctx context.Context, controller *holdings.Owner) ([]holdings.Owner, error)
	Wish(ctx context.Context, owner holdings.Owner) (holdings.Wish, error)
}

// View knows the quotas and the namespaces.
type View interface {
	Await(ctx context.Context) (*view.State, error)
	Listen(f func(*view.State))
}

// Options are what a Recounter works with.
type Options struct {
	Holdings *holdings.Store
	// Relist has the Holdings filled from a live list.
	Relist func()
	Walker Walker
	Ledger Ledger
	View   View
	// Pod returns the UID of a pod from the API server, or "" if there is none.
	Pod func(ctx context.Context, namespace, name string) (types.UID, error)
	// Term returns the term of this leader, and 0 without leader election.
	Term func(ctx context.Context) (int64, error)
	// Lapsed is told of a grant that has lapsed.
	Lapsed func(grant ledger.Grant)
	// Changed is told of the quotas of a tree that was counted.
	Changed func(quotas []string)
	Metrics *Metrics
	// Clock is monotonic.
	Clock clock.Clock
	Log   logr.Logger
}

// Recounter counts.
type Recounter struct {
	Options

	queue workqueue.TypedRateLimitingInterface[string]

	mu    sync.Mutex
	term  int64
	lists int64 // of the Holdings when the term began
	plan  plan
	roots map[string]*root
	// relisted is how many live lists there were when one was last asked for.
	relisted *int64
}

var (
	_ manager.Runnable               = (*Recounter)(nil)
	_ manager.LeaderElectionRunnable = (*Recounter)(nil)
)

// New returns a Recounter. It listens to the Holdings and the View at once, so
// make it before these start.
func New(o Options) *Recounter {
	r := &Recounter{Options: o, roots: map[string]*root{}}
	r.queue = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](100*time.Millisecond, 5*time.Second))
	o.Holdings.Listen(r.heard)
	o.View.Listen(r.planned)
	return r
}

// NeedLeaderElection is true: only one counts.
func (r *Recounter) NeedLeaderElection() bool { return true }

// Start counts until ctx ends.
func (r *Recounter) Start(ctx context.Context) error {
	term, err := r.Term(ctx)
	if err != nil {
		return fmt.Errorf("find the term of this leader: %w", err)
	}
	state, err := r.View.Await(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	r.mu.Lock()
	r.term, r.lists = term, r.Holdings.Lists()
	r.mu.Unlock()
	r.planned(state)
	if err := r.sweep(ctx); err != nil {
		r.Log.Error(err, "look at the ledgers; it is tried again")
	}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { r.work(ctx) })
	}
	group.Go(func() { r.tick(ctx) })
	<-ctx.Done()
	r.queue.ShutDown()
	group.Wait()
	return nil
}

// ended returns an error unless it is that ctx has ended.
func ended(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// heard queues the roots that a change of pods is about. One that ended
// something is counted at once.
func (r *Recounter) heard(e holdings.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.All || e.Reset {
		for name := range r.roots {
			r.queue.Add(name)
		}
		return
	}
	for _, name := range r.plan.counters(e.Namespace) {
		if e.Ended != nil {
			r.queue.Add(name)
		} else {
			r.queue.AddAfter(name, pace)
		}
	}
}

// planned takes a new State in and queues the trees that it changes.
func (r *Recounter) planned(state *view.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.plan.follow(state) {
		if r.roots[name] == nil {
			r.roots[name] = newRoot(name)
		}
		r.queue.Add(name)
	}
}

func (r *Recounter) work(ctx context.Context) {
	for {
		name, over := r.queue.Get()
		if over {
			return
		}
		r.one(ctx, name)
		r.queue.Done(name)
	}
}

// one counts a root and decides when it is counted again.
func (r *Recounter) one(ctx context.Context, name string) {
	r.mu.Lock()
	root := r.roots[name]
	if root == nil {
		root = newRoot(name)
		r.roots[name] = root
	}
	r.mu.Unlock()
	root.mu.Lock()
	defer root.mu.Unlock()
	if !r.Holdings.Synced() {
		r.queue.AddAfter(name, pace)
		return
	}
	if since := time.Since(root.counted); since < pace {
		r.queue.AddAfter(name, pace-since)
		return
	}
	root.counted = time.Now()
	err := r.count(ctx, root)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		root.behind = time.Time{}
		root.failure.Store(nil)
		r.queue.Forget(name)
		return
	case errors.Is(err, ledger.ErrStale) || errors.Is(err, ledger.ErrBackwards):
		r.behind(root, err)
	case apierrors.IsConflict(err) || errors.Is(err, ledger.ErrConflict):
	default:
		r.Log.Error(err, "count; it is tried again", "root", name)
	}
	root.failure.Store(&err)
	r.queue.AddRateLimited(name)
}

// behind has the pods listed anew, if the ledger asks for that or has been
// newer than them for long.
func (r *Recounter) behind(root *root, err error) {
	first := root.behind.IsZero()
	if first {
		root.behind = time.Now()
		r.Log.Info("the ledger does not take the count: "+err.Error(), "root", root.name)
	}
	root.closed = root.closed || errors.Is(err, ledger.ErrBackwards)
	if time.Since(root.behind) < behindFor && !(first && root.closed) {
		return
	}
	root.behind = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	root.needs = r.Holdings.Lists()
	if r.relisted == nil || *r.relisted < root.needs {
		// Others that need a new list wait for the same one.
		r.relisted = new(root.needs)
		r.Relist()
	}
}

// tick has what changes by time alone looked at.
func (r *Recounter) tick(ctx context.Context) {
	ask, sweep := r.Clock.NewTimer(askEvery), r.Clock.NewTimer(sweepEvery)
	defer ask.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ask.C():
			r.ask()
			ask.Reset(askEvery)
		case <-sweep.C():
			if err := r.sweep(ctx); err != nil && ctx.Err() == nil {
				r.Log.Error(err, "look at the ledgers; it is tried again")
			}
			sweep.Reset(sweepEvery)
		}
	}
}

// ask queues the roots with slots, whose owners may want something else now.
func (r *Recounter) ask() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, root := range r.roots {
		if root.open.Load() {
			r.queue.Add(name)
		}
	}
}

// sweep queues all roots that have a ledger or should have one.
func (r *Recounter) sweep(ctx context.Context) error {
	recorded, err := r.Ledger.Roots(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range recorded {
		if r.roots[name] == nil {
			r.roots[name] = newRoot(name)
		}
	}
	for name := range r.roots {
		r.queue.Add(name)
	}
	return nil
}

// Failed returns why the tree of a root could not be counted the last time, or
// nil.
func (r *Recounter) Failed(name string) error {
	if root := r.root(name); root != nil {
		if failure := root.failure.Load(); failure != nil {
			return *failure
		}
	}
	return nil
}

func (r *Recounter) root(name string) *root {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots[name]
}
