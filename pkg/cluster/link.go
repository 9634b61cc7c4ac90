// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// probeTimeout bounds one look at whether a cluster is there.
	probeTimeout = 5 * time.Second
	// probeRest is the least time between two of them, shorter than the
	// patience of those who wait for the outcome.
	probeRest = patience / 2
	// probeGap is the time between two of them when the cluster has just
	// gone, and doubles from then on.
	probeGap = time.Second
	// maxProbeGap is the most, while the cluster is away.
	maxProbeGap = 30 * time.Second
	// patience is how long a reconcile waits to hear whether a cluster is
	// there before it leaves, to be woken.
	patience = 500 * time.Millisecond
)

// ErrConnecting says that it is not known yet whether a cluster is there.
var ErrConnecting = errors.New("still connecting")

// UnreachableError says that nothing can be asked of a cluster for now.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the cluster at %s cannot be used: %s", e.Address, causeOf(e.Err))
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Timeout and Temporary make it a net.Error, which watches outlast.
func (e *UnreachableError) Timeout() bool { return false }

// Temporary reports true.
func (e *UnreachableError) Temporary() bool { return true }

// causeOf words an error so that it is the same at the next try.
func causeOf(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "its certificate has expired or is not valid yet"
	}
	return err.Error()
}

// errUnauthorized is what a server says to credentials that it does not know,
// or not any more.
var errUnauthorized = errors.New("it refuses the credentials (Unauthorized); renew them")

// link knows whether a remote cluster is there and takes our credentials. One
// goroutine asks it; everybody else only looks at the outcome, so a cluster
// that is away costs nobody else's time. Requests that go wrong make it ask
// again.
type link struct {
	address string
	probe   func(ctx context.Context) error
	// ready is called before the first time that the cluster is there.
	ready func()
	// changed is called when the cluster has come or gone.
	changed func(up bool)

	mu     sync.Mutex
	err    error         // nil if the cluster is there
	first  chan struct{} // closed with the first outcome
	gone   chan struct{} // closed when the cluster goes
	epoch  int           // how often it has come
	asking chan struct{} // closed when a doubt is settled; nil without one
	doubts chan struct{} // has an element while there is one
}

func newLink(address string, probe func(context.Context) error, ready func(), changed func(up bool)) *link {
	return &link{
		address: address, probe: probe, ready: ready, changed: changed,
		err: ErrConnecting, first: make(chan struct{}), gone: make(chan struct{}), doubts: make(chan struct{}, 1),
	}
}

// run asks until ctx ends: now, when there is doubt, and time and again while
// the cluster is away.
func (l *link) run(ctx context.Context) {
	backoff := newProbeBackoff()
	for ctx.Err() == nil {
		err := l.look(ctx)
		if ctx.Err() != nil {
			return
		}
		l.set(err)
		pause := backoff.Step()
		if err == nil {
			backoff, pause = newProbeBackoff(), probeRest
		}
		sleep(ctx, pause)
		if err == nil {
			select {
			case <-ctx.Done():
			case <-l.doubts:
			}
		}
	}
}

func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func newProbeBackoff() wait.Backoff {
	return wait.Backoff{Duration: probeGap, Factor: 2, Steps: 10, Cap: maxProbeGap, Jitter: 0.2}
}

func (l *link) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, errTimeout)
	defer cancel()
	err := l.probe(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		return errTimeout
	}
	return err
}

// set notes an outcome and tells of it if it is another one than before.
func (l *link) set(err error) {
	if err == nil && l.ready != nil {
		l.ready()
		l.ready = nil
	}
	l.mu.Lock()
	connecting, was := errors.Is(l.err, ErrConnecting), l.err == nil
	if err != nil {
		err = &UnreachableError{Address: l.address, Err: err}
	}
	l.err = err
	if l.asking != nil {
		close(l.asking)
		l.asking = nil
	}
	up := err == nil
	switch {
	case up && !was:
		l.epoch++
		l.gone = make(chan struct{})
	case !up && was:
		close(l.gone)
	}
	if connecting {
		close(l.first)
	}
	l.mu.Unlock()
	if connecting || up != was {
		l.changed(up)
	}
}

// doubt has the cluster asked again, soon.
func (l *link) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.asking != nil {
		return // it is asked already
	}
	l.asking = make(chan struct{})
	select {
	case l.doubts <- struct{}{}:
	default: // one that came while the last answer was on its way
	}
}

// verdict returns why the cluster cannot be used, or nil, having given a doubt
// a moment to be settled.
func (l *link) verdict(ctx context.Context) error {
	l.mu.Lock()
	asking := l.asking
	l.mu.Unlock()
	if asking != nil {
		await(ctx, asking)
	}
	return l.failure()
}

// await returns when the channel is closed, or patience is over.
func await(ctx context.Context, done <-chan struct{}) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// failure returns why the cluster cannot be used, or nil.
func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// await returns whether the cluster can be used, having given a first
// connection a moment. The error is an UnreachableError or ErrConnecting.
func (l *link) await(ctx context.Context) error {
	await(ctx, l.first)
	return l.failure()
}

// bound returns a context that ends when the cluster goes.
func (l *link) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	gone := l.gone
	l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-gone:
			cancel(l.failure())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// probeVersion asks a server for its version, which every authenticated user
// may know. Credentials that it does not take are an error, a lack of rights is
// none.
func probeVersion(through http.RoundTripper, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/version", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := through.RoundTrip(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		switch {
		case resp.StatusCode == http.StatusUnauthorized:
			return errUnauthorized
		case resp.StatusCode >= http.StatusInternalServerError:
			return fmt.Errorf("it answers with the status %d", resp.StatusCode)
		}
		return nil
	}
}
