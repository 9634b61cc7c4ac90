// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A scenario is one sort of disturbance.
type scenario struct {
	name string
	// did says what is done, once.
	did string
	// times is how often, and lasts how long each time goes on before it is
	// lifted. The load goes on meanwhile.
	times int
	lasts time.Duration
	// after is how long it has to stay right then, under load: some things are
	// refused only when they are used again.
	after time.Duration
	// strike begins the disturbance; lift, if any, ends it.
	strike func(ctx context.Context, a *arena) (lift func(context.Context) error, err error)
	// takes is the ground that it needs; by default any will do.
	takes string
	// anew is set where lift takes the cluster back in time: nothing that was
	// seen before counts.
	anew bool
	// strikeCounts is set where strike itself waits for what the time is about.
	strikeCounts bool
}

// A result is what came of a scenario.
type result struct {
	Scenario string    `json:"scenario"`
	Ground   string    `json:"ground"`
	Did      string    `json:"did"`
	Date     time.Time `json:"date"`
	// Times is how often it was done, Minutes how long all of it took, Commits
	// and Models what was committed and published meanwhile.
	Times   int     `json:"times"`
	Minutes float64 `json:"minutes"`
	Commits int     `json:"commits"`
	Models  int     `json:"models"`
	// Admitted and Refused are what became of pods with GPUs; Unanswered are
	// those about which nobody decided.
	Admitted   int `json:"admitted,omitempty"`
	Refused    int `json:"refused,omitempty"`
	Unanswered int `json:"unanswered,omitempty"`
	// Losses is what was not as it has to be.
	Losses []string `json:"losses"`
	// Seconds until all was right again, each time.
	Seconds []float64 `json:"seconds"`
}

// disturb runs a scenario and judges it.
func (a *arena) disturb(ctx context.Context, s scenario) (result, error) {
	return a.judged(ctx, s.name, s.did, func(ctx context.Context, r *result) (err error) {
		defer func() { err = errors.Join(err, a.tidy(ctx)) }()
		for i := range s.times {
			took, err := a.once(ctx, s)
			if err != nil {
				return err
			}
			r.Times, r.Seconds = i+1, append(r.Seconds, took.Seconds())
			fmt.Fprintf(a.out, "  %s %d of %d: right after %.1f s\n", s.name, i+1, s.times, took.Seconds())
		}
		return nil
	})
}

// judged begins when all is right, disturbs, and ends when all is right again or
// patience has ended.
func (a *arena) judged(ctx context.Context, name, did string, disturb func(ctx context.Context, r *result) error) (result, error) {
	r := result{Scenario: name, Ground: a.ground.name(), Did: did, Date: time.Now().UTC().Truncate(time.Second), Losses: []string{}}
	a.load.pause(true)
	if _, err := a.untilRight(ctx, time.Now()); err != nil {
		return r, fmt.Errorf("before %s: %w", name, err)
	}
	if err := a.watch(ctx); err != nil {
		return r, err
	}
	begun := time.Now()
	commits, _, published := a.load.heads()
	charged, admitted, refused, failed := a.crowd.peek()
	a.load.pause(false)
	if err := disturb(ctx, &r); err != nil {
		if !errors.Is(err, errNotRight) {
			return r, err
		}
		r.Losses = append(r.Losses, err.Error())
	}
	a.load.pause(true)
	if _, err := a.untilRight(ctx, time.Now()); err != nil {
		fmt.Fprintf(a.out, "%v\n%s", err, a.ground.lastWords(ctx))
		r.Losses = append(r.Losses, err.Error())
	}
	if err := a.working(); err != nil {
		return r, fmt.Errorf("the load ended during %s: %w", name, err)
	}
	r.Minutes = time.Since(begun).Minutes()
	losses, err := a.losses(ctx, len(charged))
	r.Losses = append(r.Losses, losses...)
	nowCommits, _, nowPublished := a.load.heads()
	r.Commits, r.Models = nowCommits-commits, nowPublished-published
	_, nowAdmitted, nowRefused, nowFailed := a.crowd.peek()
	r.Admitted, r.Refused, r.Unanswered = nowAdmitted-admitted, nowRefused-refused, nowFailed-failed
	return r, err
}

// once strikes, lifts, and returns the time from the end of the disturbance, or
// from its beginning if it has no end, until all is right: what was committed
// meanwhile is in the cluster, and what is committed then.
func (a *arena) once(ctx context.Context, s scenario) (time.Duration, error) {
	// A few commits between two disturbances.
	if err := pause(ctx, 3*commitEvery); err != nil {
		return 0, err
	}
	from := time.Now()
	lift, err := s.strike(ctx, a)
	if err != nil {
		return 0, err
	}
	if s.strikeCounts {
		return time.Since(from), nil
	}
	if err := pause(ctx, s.lasts); err != nil {
		return 0, err
	}
	if lift != nil {
		if err := lift(ctx); err != nil {
			return 0, err
		}
		from = time.Now()
	}
	if s.anew {
		if err := a.watch(ctx); err != nil {
			return 0, err
		}
	}
	took, err := a.untilRightAgain(ctx, from)
	if s.after == 0 || err != nil {
		return took, err
	}
	if err := pause(ctx, s.after); err != nil {
		return 0, err
	}
	later, err := a.untilRightAgain(ctx, time.Now())
	return max(took, later), err
}

// untilRightAgain returns the time from a moment until the cluster has what is
// committed now.
func (a *arena) untilRightAgain(ctx context.Context, from time.Time) (time.Duration, error) {
	a.load.pause(true)
	defer a.load.pause(false)
	if err := a.load.everything(ctx); err != nil {
		return 0, err
	}
	return a.untilRight(ctx, from)
}

// pause waits.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// killAtRandom kills controllers for a time, whether all is right again after the
// last kill or not. Each time counts from the kill until the cluster has reached
// what is committed right after it.
func (a *arena) killAtRandom(ctx context.Context, length time.Duration) (result, error) {
	victims := []string{sourceController, kustomizeController, helmController, quotaController, imageController}
	did := "a controller, chosen at random, killed every 10 to 30 s"
	return a.judged(ctx, kill, did, func(ctx context.Context, r *result) error {
		var mu sync.Mutex
		group, ctx := errgroup.WithContext(ctx)
		for end := time.Now().Add(length); time.Now().Before(end); r.Times++ {
			victim, number, from := victims[rand.IntN(len(victims))], r.Times+1, time.Now()
			if err := a.ground.kill(ctx, victim, a.load.everything); err != nil {
				return errors.Join(fmt.Errorf("kill %s: %w", victim, err), group.Wait())
			}
			commit, version, published := a.load.heads()
			group.Go(func() error {
				if err := a.untilCaughtUp(ctx, commit, version, published); err != nil {
					return fmt.Errorf("after %s was killed: %w", victim, err)
				}
				took := time.Since(from).Seconds()
				fmt.Fprintf(a.out, "  kill %d, %s: caught up after %.1f s\n", number, victim, took)
				mu.Lock()
				defer mu.Unlock()
				r.Seconds = append(r.Seconds, took)
				return nil
			})
			if err := pause(ctx, 10*time.Second+time.Duration(rand.IntN(20_000))*time.Millisecond); err != nil {
				return errors.Join(err, group.Wait())
			}
		}
		return group.Wait()
	})
}

// untilCaughtUp returns when the cluster has reached a commit, a version and a
// model, and somebody decides about GPUs.
func (a *arena) untilCaughtUp(ctx context.Context, commit, version, published int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rightPatience, errNotRight)
	defer cancel()
	return await(ctx, func(ctx context.Context) error {
		if err := a.caughtUp(commit, version, published); err != nil {
			return err
		}
		return a.crowd.answers(ctx)
	})
}

// median of the seconds: of an even number of them the mean of the two in the
// middle.
func (r result) median() float64 {
	if len(r.Seconds) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.Seconds))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (r result) worst() float64 {
	if len(r.Seconds) == 0 {
		return 0
	}
	return slices.Max(r.Seconds)
}
