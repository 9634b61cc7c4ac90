// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/forge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// memory is what is known of objects between reconciles. All of it may be
// lost.
type memory struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
}

// entry is what is known of one object. The queue sees to it that one
// reconcile at a time uses it.
type entry struct {
	uid types.UID
	// spec is the compiled spec of a generation.
	spec *compiled
	// run is under way; nil: none.
	run *run
	// last is the last decision, if nothing was committed by it.
	last *decided
	// failures counts runs that failed in a row.
	failures int
	// signatures are those that were found good.
	signatures *signatures
	// known is what the last run found out about images, by name.
	known map[string]*remembered
}

// decided is a decision that holds as long as tip and inputs are the same.
type decided struct {
	tip, inputs string
	at          time.Time // the time of day
	result      *plan.Result
}

// holds reports whether a decision is still the one for a tip and inputs. It may
// hold until a time of day, so it does not if the clock was put back behind it.
func (d *decided) holds(tip, inputs string, now time.Time) bool {
	if d == nil || d.tip != tip || d.inputs != inputs {
		return false
	}
	until, now := d.result.Recheck, now.Round(0)
	return until.IsZero() || now.Before(until) && !now.Before(d.at)
}

func (m *memory) entry(name types.NamespacedName, uid types.UID) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[types.NamespacedName]*entry{}
	}
	e := m.entries[name]
	if e == nil || e.uid != uid {
		e = &entry{uid: uid, signatures: &signatures{}}
		m.entries[name] = e
	}
	return e
}

// ofAnother reports whether what is known of a name is of another object.
func (m *memory) ofAnother(name types.NamespacedName, uid types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[name]
	return e != nil && e.uid != uid
}

func (m *memory) drop(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[name]; e != nil && e.run != nil {
		e.run.cancel()
	}
	delete(m.entries, name)
}

// run is one pass from the registries to the push.
type run struct {
	// key is what the run was begun for; another one makes it stale.
	key string
	// token is the request that the run answers.
	token   string
	started time.Time
	// cancel ends what goes on in the background for the run, and closes over.
	cancel func()
	over   chan struct{}

	// target, filled by connect, is where to commit; sign signs.
	target batch.Target
	ready  bool
	base   *plan.Automation
	// policies are what ImagePolicies had picked.
	policies imagev1.ObservedPolicies

	// images, filled by collect, are what is looked at; failed says by name
	// why others are not.
	images []*candidateSet
	failed map[string]error
	// rounds counts how often registries were asked for more.
	rounds int

	gathering  work[struct{}]
	reviewing  work[[]forge.PullRequest]
	proposing  work[settlement]
	forge      forge.Client
	proposeErr error
	// told: an event has told of the outcome.
	told       bool
	generation int64

	submitted bool
	// mu guards what plans leave behind.
	mu     sync.Mutex
	result *plan.Result
	// tip is the commit of that result, and compared says that files were read
	// for it.
	tip      string
	compared bool

	outcome *batch.Outcome
}

// work is something that goes on in the background.
type work[T any] struct {
	mu      sync.Mutex
	begun   bool
	over    bool
	outcome T
	err     error
}

// start begins the work, once, and has the object woken when it is over. The
// work ends with its run.
func (w *work[T]) start(s *scope, waker *reconcile.Waker, do func(context.Context) (T, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return
	}
	w.begun = true
	over := s.run.over
	waker.Go(s.name, func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-over:
				cancel()
			case <-ctx.Done():
			}
		}()
		outcome, err := do(ctx)
		w.mu.Lock()
		w.outcome, w.err, w.over = outcome, err, true
		w.mu.Unlock()
	})
}

// result returns the outcome, and whether there is one.
func (w *work[T]) result() (outcome T, err error, over bool) { //nolint:revive // As a channel's: the value, then whether it counts.
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outcome, w.err, w.over
}

// reset lets the work begin again.
func (w *work[T]) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var none T
	w.begun, w.over, w.outcome, w.err = false, false, none, nil
}
