// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// keeper does what this process does with one record. A goroutine decides
// claims while there are any.
type keeper struct {
	store *Store
	root  string
	// turn is held by whoever reads and writes the record and what is below.
	turn chan struct{}
	pace pacer
	// updated is when Update wrote last.
	updated time.Time
	seen    latest
	cached  *snapshot
	trusted bool

	mu      sync.Mutex
	queue   []*waiter
	running bool
	// wake says that the queue has more.
	wake chan struct{}
}

// waiter is a claim that waits for its answer.
type waiter struct {
	claim   Claim
	arrived time.Time
	gone    <-chan struct{}
	answer  chan answer

	// parked: there was no room when it was decided last. Fresh is the
	// resourceVersion that pods had after it arrived.
	parked bool
	fresh  string
	// failed is what went wrong last. It is guarded by keeper.mu.
	failed error
}

type answer struct {
	Decision
	err error
}

func newKeeper(s *Store, root string) *keeper {
	return &keeper{
		store: s, root: root, pace: newPacer(time.Now()),
		turn: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
}

func (k *keeper) enqueue(ctx context.Context, w *waiter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queue = append(k.queue, w)
	if k.running {
		select {
		case k.wake <- struct{}{}:
		default:
		}
		return
	}
	k.running = true
	// Others depend on what is decided, so it does not end with this claim.
	go k.run(context.WithoutCancel(ctx))
}

// leave is the answer to a claim whose time is up.
func (k *keeper) leave(w *waiter) answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case a := <-w.answer:
		return a
	default:
	}
	if w.failed != nil {
		return answer{err: w.failed}
	}
	return answer{err: fmt.Errorf("decide on the ledger of root quota %q: %w", k.root, ErrConflict)}
}

// run decides until nobody waits.
func (k *keeper) run(ctx context.Context) {
	var waiting []*waiter
	failures, polls, serial := 0, 0, int64(0)
	for {
		if waiting = k.collect(waiting); len(waiting) == 0 {
			return
		}
		k.turn <- struct{}{}
		pause := k.pace.wait(time.Now())
		if pause > 0 {
			<-k.turn
			// Those who wait for the pace do not all try at once.
			sleep(ctx, pause+rand.N(15*time.Millisecond), nil) //#nosec G404 -- spreads load, guards nothing
			continue
		}
		left, err := k.decide(ctx, waiting)
		now := k.seen.serial
		<-k.turn
		waiting = left
		if err != nil {
			failures++
			k.failed(waiting, err)
			sleep(ctx, backoff(failures, err), nil)
			continue
		}
		failures = 0
		if len(waiting) > 0 {
			if polls++; serial != now {
				polls, serial = 0, now
			}
			sleep(ctx, min(pollInterval<<min(polls, 8), pollLongest), k.wake)
		}
	}
}

// collect adds those who came to those who wait and drops those who left. If it
// returns none, the goroutine has ended.
func (k *keeper) collect(waiting []*waiter) []*waiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	waiting = slices.DeleteFunc(append(waiting, k.queue...), func(w *waiter) bool {
		select {
		case <-w.gone:
			return true
		default:
			return false
		}
	})
	k.queue = nil
	k.running = len(waiting) > 0
	return waiting
}

// failed tells those who wait what went wrong, and those who need not wait any
// more that it is final.
func (k *keeper) failed(waiting []*waiter, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !errors.Is(err, ErrUnreadable) && !errors.Is(err, ErrConflict) {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	for _, w := range waiting {
		w.failed = err
		if hopeless(err) {
			w.answer <- answer{err: err}
			w.gone = closedChannel()
		}
	}
}

func closedChannel() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// backoff is how long to wait after so many failures in a row.
func backoff(failures int, err error) time.Duration {
	longest := 5 * time.Millisecond << min(failures, 6)
	if lost(err) {
		longest = min(longest, 40*time.Millisecond)
	}
	return time.Millisecond + rand.N(longest) //#nosec G404 -- spreads load, guards nothing
}
