// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

// errCanceled is the cause of the end of an action's context.
var errCanceled = errors.New("the action was canceled")

// Runner runs actions, each in a goroutine of its own, one at a time for each
// owner. It bounds how many work at once; one that only waits for objects does
// not count.
type Runner struct {
	ctx          context.Context //nolint:containedctx // the life of the process, not of a call
	slots        chan struct{}
	wake         func(types.NamespacedName)
	renderer     *Renderer
	capabilities *capabilities
	all          sync.WaitGroup

	mu     sync.Mutex
	closed bool
	active map[types.NamespacedName]*run
	ended  map[types.NamespacedName]Outcome
}

// NewRunner returns a Runner of which at most concurrency actions work at once,
// and whose charts are rendered by renderer. It calls wake for an owner whose outcome is there. No action begins after ctx
// has ended; those under way end by Drain.
func NewRunner(ctx context.Context, concurrency int, renderer *Renderer, wake func(types.NamespacedName)) *Runner {
	return &Runner{
		ctx: ctx, slots: make(chan struct{}, max(concurrency, 1)), wake: wake,
		renderer: renderer, capabilities: newCapabilities(),
		active: map[types.NamespacedName]*run{}, ended: map[types.NamespacedName]Outcome{},
	}
}

// Start begins an action and returns at once. It returns false, and does
// nothing, while another one of the owner runs or its outcome was not taken, and
// once the Runner is drained.
func (r *Runner) Start(job *Job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, waiting := r.ended[job.Owner]
	if r.closed || r.ctx.Err() != nil || waiting || r.active[job.Owner] != nil {
		return false
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.ctx))
	running := &run{
		job: *job, ctx: ctx, cancel: cancel, slots: r.slots,
		renderer: r.renderer, capabilities: r.capabilities, log: lines{redact: job.Redact},
	}
	r.active[job.Owner] = running
	r.all.Go(func() { r.work(running) })
	return true
}

// work runs an action to its end.
func (r *Runner) work(running *run) {
	outcome := running.toEnd()
	running.cancel(errCanceled)
	owner := running.job.Owner
	r.mu.Lock()
	delete(r.active, owner)
	if !running.forgotten {
		r.ended[owner] = outcome
	}
	r.mu.Unlock()
	if running.job.Notify != nil {
		running.job.Notify()
	}
	r.wake(owner)
}

// Take returns the outcome of the last action of an owner, once.
func (r *Runner) Take(owner types.NamespacedName) (Outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	outcome, ok := r.ended[owner]
	delete(r.ended, owner)
	return outcome, ok
}

// Running returns the action of an owner that is under way or waits for its
// turn.
func (r *Runner) Running(owner types.NamespacedName) (state.Action, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	running := r.active[owner]
	if running == nil {
		return "", false
	}
	return running.job.Step.Action, true
}

// Cancel ends the action of an owner where it next waits for objects, or for
// its turn: at once if it waits now. Writes that were begun are finished. The
// reason is for the user.
func (r *Runner) Cancel(owner types.NamespacedName, reason string) {
	r.mu.Lock()
	running := r.active[owner]
	r.mu.Unlock()
	if running != nil {
		running.cut(reason)
	}
}

// Forget drops the outcome of an owner that is no more, and cancels its action.
func (r *Runner) Forget(owner types.NamespacedName) {
	r.mu.Lock()
	running := r.active[owner]
	if running != nil {
		running.forgotten = true
	}
	delete(r.ended, owner)
	r.mu.Unlock()
	if running != nil {
		running.cut("the HelmRelease is gone")
	}
}

// Drain lets no action begin, waits up to grace for those under way, and then
// cuts them short. It returns when all have ended. The next process finds what
// was cut short and goes on.
func (r *Runner) Drain(grace time.Duration) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.all.Wait()
		close(done)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	r.mu.Lock()
	for _, running := range r.active {
		running.stop("the controller stops")
	}
	r.mu.Unlock()
	<-done
}

// run is an action under way.
type run struct {
	job          Job
	ctx          context.Context //nolint:containedctx // the life of the action
	cancel       context.CancelCauseFunc
	slots        chan struct{}
	renderer     *Renderer
	capabilities *capabilities
	log          lines
	forgotten    bool // the Runner's lock guards it

	mu      sync.Mutex
	waiting bool
	reason  string // of the cancellation
	held    bool   // a slot; only the run itself looks
}

// cut cancels the run where it waits.
func (r *run) cut(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason == "" {
		r.reason = reason
	}
	if r.waiting {
		r.cancel(errCanceled)
	}
}

// stop cancels the run wherever it is.
func (r *run) stop(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason == "" {
		r.reason = reason
	}
	r.cancel(errCanceled)
}

// idle gives others the turn while the run only waits, until the function is
// called. Meanwhile it can be cut short.
func (r *run) idle() (resume func()) {
	end := r.cuttable()
	r.leave()
	return func() {
		r.enter()
		end()
	}
}

// cuttable lets the run be cut short until the function is called.
func (r *run) cuttable() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = true
	if r.reason != "" {
		r.cancel(errCanceled)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting = false
	}
}

// enter takes a slot. A run that is canceled goes on without: all that is left
// to it is to end.
func (r *run) enter() {
	select {
	case r.slots <- struct{}{}:
		r.held = true
	case <-r.ctx.Done():
	}
}

// leave gives the slot back.
func (r *run) leave() {
	if r.held {
		r.held = false
		<-r.slots
	}
}

// toEnd waits for its turn, acts, and looks at what came of it.
func (r *run) toEnd() Outcome {
	outcome := Outcome{Step: r.job.Step}
	defer r.leave() // the turn may have come with the cancellation
	r.idle()()
	if outcome.Err = context.Cause(r.ctx); outcome.Err == nil {
		begun := time.Now()
		a := attempt{run: r, job: &r.job}
		outcome.Err = guarded(a.act)
		r.leave()
		a.settle(&outcome)
		outcome.Duration = time.Since(begun)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if outcome.Err != nil && r.ctx.Err() != nil {
		outcome.Canceled = r.reason
	}
	outcome.Err = r.explain(outcome.Err, outcome.Canceled)
	outcome.Logs = r.log.last()
	return outcome
}

// guarded turns a panic of the SDK, or of a template function, into an error:
// the chart of one tenant must not end the process for all.
func guarded(work func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("helm failed with a fault in its program: %v", cause)
		}
	}()
	return work()
}
