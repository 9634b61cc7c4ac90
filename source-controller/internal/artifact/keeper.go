// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package artifact is what all kinds of sources have in common: an artifact in
// the storage and in the status, which is checked at each reconcile, collected
// when it was replaced, and told of in conditions and events.
//
// A kind brings what it is fetched from. It calls Announce and Check, then asks
// its remote, and either finds its artifact up to date or stores another one;
// both end in Done. Whatever fails, the last good artifact stays.
package artifact

import (
	"context"
	"errors"
	"fmt"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/events"
	"github.com/fluxcd/pkg/runtime/predicates"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// Keeper keeps the artifacts of the objects of one kind.
type Keeper struct {
	// Client reads Secrets, live.
	Client client.Reader
	// Store reads and patches the objects.
	Store *reconcile.Store
	// Storage holds artifacts.
	Storage *storage.Storage
	Events  events.Recorder
	Metrics measure.Metrics
	// Leaving reports whether Weir is being uninstalled: then nothing is done
	// any more. Nil: never.
	Leaving func() bool
	// Jitter spreads intervals.
	Jitter func(time.Duration) time.Duration
	// Slots bounds how many artifacts are made at a time; nil does not.
	Slots Slots
}

// Slots are taken by those who make an artifact, so that more objects can wait
// for their remotes than may use the processor and the disk: a remote that does
// not answer holds up nobody else.
type Slots chan struct{}

// NewSlots returns as many slots as count says.
func NewSlots(count int) Slots { return make(Slots, count) }

// Take waits for a slot. The caller gives it back by calling release. The error
// is that of the context. Of nil there are as many as anybody wants.
func (s Slots) Take(ctx context.Context) (release func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Subject is one object, empty until it was read, and where its fields are.
type Subject struct {
	Object reconcile.Object
	// Kind is the name of its kind, and of the directory of its artifacts.
	Kind string
	// Status are the fields that every kind has.
	Status Status
	// Suspended reports spec.suspend, and Interval is spec.interval.
	Suspended func() bool
	Interval  func() time.Duration
	// Run brings the artifact up to date and ends in Source.Done, or returns
	// an error of package reconcile. Its first phases should be Announce and
	// Check.
	Run func(ctx context.Context, s *Source) error
}

// Status points to fields of an object's status.
type Status struct {
	Artifact           **fluxmeta.Artifact
	ObservedGeneration *int64
	Request            *fluxmeta.ReconcileRequestStatus
	// URL is status.url, of kinds that have it: where Pointer, a name in the
	// object's directory such as latest.tar.gz, leads to the artifact.
	URL     *string
	Pointer string
}

// Reconcile brings one object up to date.
func (k *Keeper) Reconcile(ctx context.Context, req ctrl.Request, subject Subject) (ctrl.Result, error) {
	head := reconcile.Head{Store: k.Store, Finalizer: sourcev1.SourceFinalizer, Leaving: k.Leaving, Metrics: k.Metrics}
	return head.Reconcile(ctx, req, reconcile.Subject{
		Object:    subject.Object,
		Request:   subject.Status.Request,
		Suspended: subject.Suspended,
		Delete:    func(ctx context.Context, _ *reconcile.Patcher) error { return k.finalize(ctx, subject) },
		Run: func(ctx context.Context, patcher *reconcile.Patcher, requested bool) (ctrl.Result, error) {
			s := &Source{
				Subject: subject, keeper: k, patcher: patcher, requested: requested,
				before: (*subject.Status.Artifact).DeepCopy(), failing: isFailing(subject.Object),
			}
			return s.finish(subject.Run(ctx, s))
		},
	})
}

// finalize removes the artifacts of an object that is being deleted. Nothing
// else holds the object: artifacts can be built again, so this is right for an
// uninstall too.
func (k *Keeper) finalize(ctx context.Context, subject Subject) error {
	found, err := k.Storage.RemoveAll(subject.owner())
	if err != nil {
		err = fmt.Errorf("garbage collection for deleted resource failed: %w", err)
		k.collectFailed(ctx, subject.Object, err)
		return err
	}
	if found {
		k.removed(subject.Object)
	}
	return nil
}

// Secret returns the data of a Secret. Its error names it.
func (k *Keeper) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		err = errors.New("it does not exist")
	}
	if err != nil {
		return nil, fmt.Errorf("failed to get secret '%s/%s': %w", namespace, name, err)
	}
	return secret.Data, nil
}

// Changes passes what a source is reconciled for: its spec, a request by
// annotation, and an API server that was restored from a backup. Changes of
// status wake nobody.
func Changes() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, reconcile.Restored())
}

// owner is how the storage knows the object.
func (s *Subject) owner() storage.Object {
	return storage.Object{Kind: s.Kind, Namespace: s.Object.GetNamespace(), Name: s.Object.GetName()}
}

// isFailing reports whether the object shows a failure of an earlier run.
func isFailing(obj reconcile.Object) bool {
	return conditions.IsTrue(obj, sourcev1.FetchFailedCondition) ||
		conditions.IsTrue(obj, sourcev1.BuildFailedCondition) ||
		conditions.IsTrue(obj, sourcev1.StorageOperationFailedCondition)
}
