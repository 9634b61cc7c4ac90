// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// counterpart finds a controller that reconciles the same objects as this one:
// Flux's, or another Weir, in any other namespace. Both name their lease after
// controller and shard, so a live lease of the same name elsewhere is it.
type counterpart struct {
	leases    coordinationclient.LeasesGetter
	name      string
	namespace string
	// others are the leases of controllers of another name that reconcile
	// some of the same objects. One in our own namespace is another's too.
	others []string

	seen sightings
}

// list returns the leases of our own name in all namespaces.
func (c *counterpart) list(ctx context.Context) (*coordinationv1.LeaseList, error) {
	return c.named(ctx, c.name)
}

func (c *counterpart) named(ctx context.Context, name string) (*coordinationv1.LeaseList, error) {
	list, err := c.leases.Leases(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("look for another controller that holds lease %q in any namespace: %w", name, err)
	}
	return list, nil
}

// Live returns a sentence about the live counterpart, or "" if there is none.
func (c *counterpart) Live(ctx context.Context) (string, error) {
	for _, name := range append([]string{c.name}, c.others...) {
		list, err := c.named(ctx, name)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			lease := &list.Items[i]
			ours := name == c.name && lease.Namespace == c.namespace
			if !ours && c.seen.live(lease, time.Now()) {
				return fmt.Sprintf("lease %s/%s is held by %s: two controllers must not reconcile the same objects; scale that one to zero first",
					lease.Namespace, lease.Name, *lease.Spec.HolderIdentity), nil
			}
		}
	}
	return "", nil
}

// guardedLock is a leader lock that is neither taken nor renewed while a
// counterpart lives.
type guardedLock struct {
	resourcelock.Interface
	counterpart *counterpart
	log         logr.Logger

	// retry is how often a candidate looks at the lease.
	retry time.Duration
	// elected are called when the lease was taken.
	elected []func()

	vigil vigil
	// seen is who held the lease at the last look, if anybody.
	seen   string
	tenure *tenure
	// claim makes the identity ours alone, until the process ends.
	claim io.Closer
	// acquired is when the lease was taken.
	acquired metav1.Time

	leading atomic.Bool
	// deposed has room for one: a process steps down once.
	deposed chan error
}

// Create takes a lease that does not exist yet.
func (l *guardedLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.take(ctx, func() error {
		l.stamp(&record)
		return l.Interface.Create(ctx, record)
	})
}

// Update takes over or renews a lease.
func (l *guardedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	// A release must always pass: it is how a counterpart gets its turn. But the
	// elector of a leader that has lost its lease releases whosever it is by then.
	if record.HolderIdentity == "" {
		if l.seen != "" && l.seen != l.Identity() {
			return fmt.Errorf("lease %s is held by %s, and not ours to release", l.Describe(), l.seen)
		}
		l.leading.Store(false)
		l.tenure.resign()
		return l.Interface.Update(ctx, record)
	}
	return l.take(ctx, func() error {
		l.stamp(&record)
		return l.Interface.Update(ctx, record)
	})
}

// take writes the lease unless a counterpart lives. A leader that finds one
// steps down at once; left to itself it would go on until its renew deadline.
func (l *guardedLock) take(ctx context.Context, write func() error) error {
	begun := time.Now()
	err := l.check(ctx)
	if err == nil {
		err = write()
	}
	if err != nil {
		l.tenure.fail(err)
		return err
	}
	l.tenure.extend(begun)
	if l.leading.CompareAndSwap(false, true) {
		for _, f := range l.elected {
			f()
		}
	}
	return nil
}

func (l *guardedLock) check(ctx context.Context) error {
	reason, err := l.counterpart.Live(ctx)
	if err != nil {
		return err
	}
	if reason != "" {
		l.log.Info("not leading: " + reason)
		err := errors.New(reason)
		if l.leading.CompareAndSwap(true, false) {
			l.deposed <- begin(fmt.Errorf("stop leading: %w", err))
		}
		return err
	}
	return nil
}

// Start implements manager.Runnable: it returns an error, and so ends the
// process, when the leader has to step down.
func (l *guardedLock) Start(ctx context.Context) error {
	select {
	case err := <-l.deposed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// NeedLeaderElection is false: it runs beside the election.
func (l *guardedLock) NeedLeaderElection() bool { return false }

// newLock returns the leader lock named as Flux names it.
func newLock(cfg *rest.Config, guard *counterpart, election leaderelection.Options, log logr.Logger) (*guardedLock, error) {
	identity, claim, err := identify(guard.namespace, guard.name)
	if err != nil {
		return nil, err
	}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, guard.namespace, guard.name,
		resourcelock.ResourceLockConfig{Identity: identity}, cfg, election.RenewDeadline/2)
	if err != nil {
		return nil, fmt.Errorf("make the leader lock %s/%s: %w", guard.namespace, guard.name, err)
	}
	return &guardedLock{
		Interface: lock, counterpart: guard, log: log, retry: election.RetryPeriod,
		tenure: newTenure(election.RenewDeadline), claim: claim, deposed: make(chan error, 1),
	}, nil
}
