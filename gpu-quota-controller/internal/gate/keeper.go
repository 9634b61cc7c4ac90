// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/watch"
)

const (
	// gather is how long changes are collected before requests are judged.
	gather = 5 * time.Millisecond
	// ownersEvery is how often the owners of requests are looked at.
	ownersEvery = 30 * time.Second
	// lingers is how long a granted request stays whose grant has ended, so that
	// whoever asked can read the answer.
	lingers = time.Minute
	// again is how soon is tried again what has failed.
	again = time.Second
)

var errOtherOwner = errors.New("it is of another owner than its name says")

// Ledger is where records are kept.
type Ledger interface {
	Get(ctx context.Context, root string) (*ledger.Record, error)
	Update(ctx context.Context, root string, change func(*ledger.Record) error) error
}

// Walker finds out who made pods.
type Walker interface {
	Walk(ctx context.Context, controller *holdings.Owner) ([]holdings.Owner, error)
}

// Owners knows about those who ask.
type Owners interface {
	// Wants reports whether an owner exists that would apply its request.
	Wants(ctx context.Context, r wire.Request) (bool, error)
}

// Options are what a Keeper works with.
type Options struct {
	// Client reaches the ConfigMaps of Namespace, which is Weir's.
	Client    corev1client.ConfigMapsGetter
	Namespace string
	View      *view.View
	Holdings  *holdings.Store
	Walker    Walker
	Ledger    Ledger
	Owners    Owners
	// Term returns the term of this leader, and 0 without leader election.
	Term func(ctx context.Context) (int64, error)
	// Refused is told of each limit that is in the way of a revision, when that
	// is said.
	Refused func(over ledger.Over)
	Metrics *Metrics
	// Clock is monotonic.
	Clock clock.Clock
	Log   logr.Logger
}

// Keeper answers requests.
type Keeper struct {
	Options

	requests cache.Store
	touched  chan struct{}
	// asked is a request that has no answer yet.
	asked  chan struct{}
	memory memory
	term   int64
	// faults are the requests that cannot be read, by name, with their version.
	faults map[string]string
	// swept is false while there may be grants without a request.
	swept bool
	// gone tells that a request is gone.
	gone chan struct{}
}

var (
	_ manager.Runnable               = (*Keeper)(nil)
	_ manager.LeaderElectionRunnable = (*Keeper)(nil)
)

// New returns a Keeper. It listens to the View at once, so make it before that
// starts.
func New(o Options) *Keeper {
	k := &Keeper{Options: o, touched: make(chan struct{}, 1), asked: make(chan struct{}, 1), gone: make(chan struct{}, 1), memory: memory{}}
	o.View.Listen(func(*view.State) { k.Touch() })
	return k
}

// NeedLeaderElection is true: only one answers.
func (k *Keeper) NeedLeaderElection() bool { return true }

// Touch has all requests judged again: something has changed that they are judged
// by. It does not block.
func (k *Keeper) Touch() { raise(k.touched) }

// raise sets a signal, unless it is set.
func raise(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// Start answers until ctx ends.
func (k *Keeper) Start(ctx context.Context) error {
	term, err := k.Term(ctx)
	if err != nil {
		return fmt.Errorf("find the term of this leader: %w", err)
	}
	k.term = term
	if _, err := k.View.Await(ctx); err != nil {
		return nil
	}
	informer := k.informer()
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced, k.Holdings.Synced) {
		return nil
	}
	timer := k.Clock.NewTimer(ownersEvery)
	defer timer.Stop()
	k.Touch()
	var took time.Duration // so that no more than half of the time goes into it
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		case <-k.asked: // somebody waits for the answer
		case <-k.touched:
			select {
			case <-ctx.Done():
				return nil
			case <-k.asked:
			case <-k.Clock.After(max(gather, took)):
			}
		}
		next, began := ownersEvery, k.Clock.Now()
		if err := k.pass(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error(err, "answer requests for devices; it is tried again")
			next = again
		}
		took = k.Clock.Since(began)
		timer.Reset(next)
	}
}

// informer watches the requests.
func (k *Keeper) informer() cache.Controller {
	requests := k.Client.ConfigMaps(k.Namespace)
	selector := wire.Label + "=" + wire.LabelValue
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			return requests.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			options.LabelSelector = selector
			return requests.Watch(ctx, options)
		},
	}
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: watch.Persistent(source), ObjectType: &corev1.ConfigMap{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    k.heard,
			UpdateFunc: func(_, obj any) { k.heard(obj) },
			DeleteFunc: func(any) {
				raise(k.gone)
				k.Touch()
			},
		},
	})
	k.requests = store
	return controller
}

// heard has a request looked at, at once if it waits for its answer.
func (k *Keeper) heard(obj any) {
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		if e := read(cm); e != nil && e.fault == nil && !e.answered() {
			raise(k.asked)
			return
		}
	}
	k.Touch()
}

// entries returns the requests that there are.
func (k *Keeper) entries() []*entry {
	var entries []*entry
	faults := map[string]string{}
	for _, obj := range k.requests.List() {
		cm, ok := obj.(*corev1.ConfigMap)
		if !ok {
			continue
		}
		e := read(cm)
		if e == nil {
			continue
		}
		if e.fault != nil {
			if faults[e.name] = e.version; k.faults[e.name] != e.version {
				k.Log.Info("a request for devices cannot be read and is not answered: "+e.fault.Error(), "configMap", e.name)
			}
			continue
		}
		entries = append(entries, e)
	}
	k.faults = faults
	return entries
}

// pass looks at all requests once.
func (k *Keeper) pass(ctx context.Context) error {
	select {
	case <-k.gone:
		k.swept = false
	default:
	}
	state := k.View.State()
	entries := k.entries()
	k.memory.keep(entries)
	if len(entries) == 0 && k.swept {
		k.Metrics.waiting.Set(0)
		return nil
	}
	began := k.Clock.Now()
	defer func() { k.Metrics.duration.Observe(k.Clock.Since(began).Seconds()) }()
	s := newSession(k, state)
	var errs []error
	if !k.swept {
		err := s.sweep(ctx, entries)
		k.swept = err == nil
		errs = append(errs, err)
	}
	entries, err := s.drop(ctx, entries)
	errs = append(errs, err)
	var waiting []*entry
	for _, e := range entries {
		if e.granted() {
			errs = append(errs, s.follow(ctx, e))
			continue
		}
		waiting = append(waiting, e)
	}
	k.Metrics.waiting.Set(float64(len(waiting)))
	ahead := blocked{}
	for _, e := range line(waiting) {
		errs = append(errs, s.answer(ctx, e, ahead))
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}
