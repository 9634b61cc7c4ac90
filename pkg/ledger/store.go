// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// Label of the ConfigMaps; its value is the root.
	Label = "quota.weir.dev/ledger"
	// DataKey is the key of the record in the ConfigMap.
	DataKey = "record"

	namePrefix = "gpu-ledger-"
	// claimTimeout is how long Admit tries, if its context does not end before.
	claimTimeout = 4 * time.Second
	// updateTimeout is how long Update tries, if its context does not end before.
	updateTimeout = 15 * time.Second
	// requestTimeout is for one request. What hangs longer is asked again.
	requestTimeout = 2 * time.Second
	// patience is how long a claim for which there is no room waits for a count
	// that is newer than it is.
	patience = 500 * time.Millisecond
	// pollInterval is when the record is read for the first time meanwhile, and
	// pollLongest how long after a read for which nothing was new.
	pollInterval = 25 * time.Millisecond
	pollLongest  = 100 * time.Millisecond
)

var (
	// ErrUnreadable says that there is no ledger, it is damaged or it cannot be read or
	// written. The request may be sent again in a moment.
	ErrUnreadable = errors.New("the ledger is not readable")
	// ErrConflict says that the ledger could not be written in time, mostly since others
	// wrote it first. The request may be sent again in a moment.
	ErrConflict = errors.New("the ledger could not be written in time")
)

// Name is the name of the ConfigMap of a root.
func Name(root string) string { return namePrefix + root }

// Store keeps the records of all roots, each in a ConfigMap. Several processes
// may have one on the same records. Roots do not wait for each other.
type Store struct {
	client    corev1client.CoreV1Interface
	namespace string
	metrics   Metrics

	mu      sync.Mutex
	keepers map[string]*keeper
}

// NewStore returns a Store of the records in a namespace. The client must not
// have a rate limit of its own that is lower than 100 requests a second for each
// root that is busy. Metrics may be nil.
func NewStore(client corev1client.CoreV1Interface, namespace string, metrics Metrics) *Store {
	if metrics == nil {
		metrics = noMetrics{}
	}
	return &Store{client: client, namespace: namespace, metrics: metrics, keepers: map[string]*keeper{}}
}

// Admit decides a claim on the record of a root. Admitted means that the
// reservation is written. All claims that wait for the same root are decided by
// one write. Nothing is denied by a record that is cached, nor for want of room
// before a count has seen all that happened before the claim, for which it waits
// up to 500 ms.
//
// An error wraps ErrUnreadable or ErrConflict, and nothing was decided: the
// reservation may be there or not, so the same claim may come again. That holds
// as well if ctx ended.
func (s *Store) Admit(ctx context.Context, root string, c Claim) (Decision, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	w := &waiter{claim: c, arrived: began, gone: ctx.Done(), answer: make(chan answer, 1)}
	k := s.keeper(root)
	k.enqueue(ctx, w)
	var a answer
	select {
	case a = <-w.answer:
	case <-ctx.Done():
		a = k.leave(w)
	}
	s.metrics.Waited(a.Outcome, time.Since(began))
	return a.Decision, a.err
}

// Update changes the record of a root, for the leader. Change is called with a
// record that it may change, possibly several times with newer ones; what it
// left is written if nobody wrote in between. If it fails, nothing is written
// and the error is returned as it is, but for one that wraps ErrBackwards: then
// what it left is written first. A change that changes nothing writes nothing.
//
// If there is no record, change gets an empty one that is closed, and what it
// makes of it is created.
//
// If the record is older than one that this Store has seen, it is closed, change
// is not called, and the error wraps ErrBackwards: pods have to be counted
// afresh. Errors of the store itself wrap ErrUnreadable or ErrConflict.
func (s *Store) Update(ctx context.Context, root string, change func(*Record) error) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	return s.keeper(root).update(ctx, change)
}

// Get reads the record of a root from the API server. If there is none, the
// error wraps ErrUnreadable and is a NotFound of the API as well.
func (s *Store) Get(ctx context.Context, root string) (*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := s.read(ctx, root)
	if err != nil {
		return nil, err
	}
	return found.record, nil
}

// Roots lists the roots that have a record, readable or not.
func (s *Store) Roots(ctx context.Context) ([]string, error) {
	list, err := s.client.ConfigMaps(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		return nil, fmt.Errorf("list the ledgers: %w: %w", ErrUnreadable, err)
	}
	roots := make([]string, 0, len(list.Items))
	for i := range list.Items {
		if root := list.Items[i].Labels[Label]; list.Items[i].Name == Name(root) {
			roots = append(roots, root)
		}
	}
	slices.Sort(roots)
	return roots, nil
}

// Delete removes the record of a root that is no more.
func (s *Store) Delete(ctx context.Context, root string) error {
	err := s.client.ConfigMaps(s.namespace).Delete(ctx, Name(root), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the ledger of root quota %q: %w", root, err)
	}
	return nil
}

func (s *Store) keeper(root string) *keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keepers[root]
	if !ok {
		k = newKeeper(s, root)
		s.keepers[root] = k
	}
	return k
}
