// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package wake has controllers try again whose pods were denied, as soon as
// there is room: left to themselves they wait for up to a quarter of an hour.
// Every replica remembers whom it denied, in memory: what is lost with it, the
// controllers' own back-off makes good.
package wake

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/ledger"
)

const (
	// shortPause is the time between the first two looks at a ledger after
	// something that may have made room, longPause the longest.
	shortPause, longPause = 50 * time.Millisecond, 400 * time.Millisecond
	// attention is how long a ledger is looked at after that: the leader has to
	// count first.
	attention = 5 * time.Second
	// second is how long it is looked at after a denial, since room may have
	// been made while that was decided.
	second = time.Second + 100*time.Millisecond
	// idlePause is the time between two looks at the ledger of a tree in which
	// somebody waits, for room that no pod made by its end.
	idlePause = 10 * time.Second
)

// Ledger reads the books. It is a ledger.Store.
type Ledger interface {
	Get(ctx context.Context, root string) (*ledger.Record, error)
}

// Waker wakes owners of denied pods.
type Waker struct {
	ledger       Ledger
	client       metadata.Interface
	fieldManager string
	log          logr.Logger

	memory memory
	kick   chan struct{}
	woken  prometheus.Counter
	gauge  prometheus.GaugeFunc

	mu sync.Mutex
	// hot are the trees whose ledgers are looked at, and until when.
	hot map[string]*watchfulness
}

// watchfulness is when a ledger is looked at next.
type watchfulness struct {
	next, until time.Time
	pause       time.Duration
}

var (
	_ manager.LeaderElectionRunnable = (*Waker)(nil)
	_ prometheus.Collector           = (*Waker)(nil)
)

// New returns a Waker that touches workloads by the client.
func New(l Ledger, client metadata.Interface, fieldManager string, log logr.Logger) *Waker {
	w := &Waker{
		ledger: l, client: client, fieldManager: fieldManager, log: log,
		memory: memory{entries: map[types.UID]*entry{}}, kick: make(chan struct{}, 1), hot: map[string]*watchfulness{},
		woken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gpuquota_wakeups_total",
			Help: "Workloads that were touched because there was room for a pod of theirs that had been denied.",
		}),
	}
	w.gauge = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gpuquota_waiting_workloads",
		Help: "Workloads whose pods this replica denied and that it would wake.",
	}, func() float64 { return float64(w.memory.size()) })
	return w
}

// Describe implements prometheus.Collector.
func (w *Waker) Describe(ch chan<- *prometheus.Desc) {
	w.woken.Describe(ch)
	w.gauge.Describe(ch)
}

// Collect implements prometheus.Collector.
func (w *Waker) Collect(ch chan<- prometheus.Metric) {
	w.woken.Collect(ch)
	w.gauge.Collect(ch)
}

// Add remembers that there was no room for a pod. Only ReplicaSets, StatefulSets
// and Jobs can be woken; others are not remembered. It does not block.
func (w *Waker) Add(root string, claim ledger.Claim, controller holdings.Owner) {
	if _, can := resources()[controller.GroupKind()]; can && controller.UID != "" {
		w.memory.add(root, claim, controller, time.Now())
		w.attend(root, second)
	}
}

// Look has the ledger of a tree looked at for some seconds: there may be room.
// It does not block.
func (w *Waker) Look(root string) {
	if root != "" {
		w.attend(root, attention)
	}
}

func (w *Waker) attend(root string, long time.Duration) {
	w.mu.Lock()
	now := time.Now()
	h := w.hot[root]
	switch {
	case h == nil:
		h = &watchfulness{next: now.Add(shortPause), pause: shortPause}
		w.hot[root] = h
	case long == attention:
		// More often again.
		h.next, h.pause = earlier(h.next, now.Add(shortPause)), shortPause
	}
	if until := now.Add(long); until.After(h.until) {
		h.until = until
	}
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// LookAtAll is Look for every tree in which somebody waits.
func (w *Waker) LookAtAll() {
	for _, root := range w.memory.roots() {
		w.Look(root)
	}
}

// NeedLeaderElection is false: each replica wakes those that it denied.
func (w *Waker) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (w *Waker) Start(ctx context.Context) error {
	idle := time.NewTicker(idlePause)
	defer idle.Stop()
	for {
		due, next := w.due(time.Now())
		for _, root := range due {
			w.look(ctx, root)
		}
		if len(due) > 0 {
			continue
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-idle.C:
			for _, root := range w.memory.roots() {
				w.look(ctx, root)
			}
		case <-w.kick:
		case <-timer:
		}
	}
}

// due returns the trees to look at now, and when the next one is.
func (w *Waker) due(now time.Time) (roots []string, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for root, h := range w.hot {
		if now.Before(h.next) {
			if next.IsZero() || h.next.Before(next) {
				next = h.next
			}
			continue
		}
		roots = append(roots, root)
		h.pause = min(2*h.pause, longPause)
		if h.next = now.Add(h.pause); h.next.After(h.until) {
			delete(w.hot, root)
		}
	}
	return roots, next
}

// look wakes whom there is room for in a tree.
func (w *Waker) look(ctx context.Context, root string) {
	waiting, woken := w.memory.of(root, time.Now())
	if len(waiting) == 0 {
		return
	}
	record, err := w.ledger.Get(ctx, root)
	if err != nil {
		w.log.V(1).Info("cannot see whether there is room for those who wait", "root", root, "error", err.Error())
		return
	}
	chosen := choose(record, waiting, woken)
	now := time.Now()
	w.memory.wake(chosen, now)
	for i := range chosen {
		if err := w.touch(ctx, chosen[i].owner); err != nil && ctx.Err() == nil {
			w.memory.missed(chosen[i].owner.UID, now)
			w.log.Error(err, "cannot wake a workload; it is tried again")
		}
	}
}

// touch sets the annotation. A workload that is another one by now is let be.
func (w *Waker) touch(ctx context.Context, owner holdings.Owner) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         owner.UID,
		"annotations": map[string]string{quotav1.RetryAnnotation: time.Now().UTC().Format(time.RFC3339Nano)},
	}})
	if err != nil {
		return err
	}
	_, err = w.client.Resource(resources()[owner.GroupKind()]).Namespace(owner.Namespace).
		Patch(ctx, owner.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: w.fieldManager})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		w.memory.forget(owner.UID)
		return nil
	case err != nil:
		return fmt.Errorf("touch the annotation %s of %s %s/%s: %w", quotav1.RetryAnnotation, owner.Kind, owner.Namespace, owner.Name, err)
	}
	w.woken.Inc()
	return nil
}
