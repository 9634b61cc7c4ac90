// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/watch"
)

// retryRefused is how long a watch that the API server has refused rests, and
// doubles up to maxRetryRefused: a role may be granted at any time, and a
// server that is only just starting refuses everybody.
const (
	retryRefused    = 5 * time.Second
	maxRetryRefused = 5 * time.Minute
)

// watches tell what records there are: one watch for all namespaces or, where
// that is not permitted, one for each.
type watches struct {
	ctx     context.Context //nolint:containedctx // the life of the watches, not of a call
	options Options

	mu   sync.Mutex
	runs map[string]*run // by namespace; "" is all of them
}

// run is one watch. Its index is of use unless it was refused.
type run struct {
	*index

	mu      sync.Mutex
	refused bool
}

func newWatches(ctx context.Context, o Options) *watches {
	return &watches{ctx: ctx, options: o, runs: map[string]*run{}}
}

// of returns the index that covers a namespace, or nil if nothing may be
// watched there. A watch is started if there is none.
func (w *watches) of(namespace string) *index {
	if w.options.Metadata == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, scope := range []string{"", namespace} {
		r := w.runs[scope]
		if r == nil {
			r = &run{index: newIndex(w.options.Changed)}
			w.runs[scope] = r
			go w.follow(r, scope)
		}
		if !r.isRefused() {
			return r.index
		}
	}
	return nil
}

func (r *run) isRefused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Asked implements watch.Observer.
func (r *run) Asked(err error) {
	if err == nil {
		r.set(false)
	}
	r.index.Asked(err)
}

func (r *run) set(refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = refused
}

// follow runs a watch until the end, with rests while it is refused.
func (w *watches) follow(r *run, namespace string) {
	rest := retryRefused
	for {
		began := time.Now()
		source := w.options.Metadata.Resource(secrets).Namespace(namespace)
		err := watch.FollowMetadata(w.ctx, "records of releases", source, metav1.ListOptions{LabelSelector: ownerLabel + "=" + owner}, r, w.options.Log)
		if w.ctx.Err() != nil {
			return
		}
		r.set(true)
		w.options.Log.V(1).Info("The records of releases may not be watched; they are read each time", "namespace", namespace, "error", err.Error())
		if time.Since(began) > maxRetryRefused {
			rest = retryRefused
		}
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(rest):
		}
		rest = min(2*rest, maxRetryRefused)
	}
}
