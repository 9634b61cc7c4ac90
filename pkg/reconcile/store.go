// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Store reads and patches the objects of one kind so that a reconcile never
// works on a status older than the one it wrote itself: the cache may lag
// behind, and a lost inventory entry is an object that nobody prunes.
//
// Reads come from the cache; only when the cache is behind our own last write
// does one go to the API server. That also covers an API server restored from
// a backup, where the cache is "behind" for good.
type Store struct {
	cached client.Client
	live   client.Reader
	owner  client.FieldOwner

	mu      sync.Mutex
	written map[types.UID]string
}

// NewStore returns a Store that reads through cached, falls back to live, and
// writes under the given field manager.
func NewStore(cached client.Client, live client.Reader, fieldOwner string) *Store {
	return &Store{
		cached:  cached,
		live:    live,
		owner:   client.FieldOwner(fieldOwner),
		written: map[types.UID]string{},
	}
}

// Get fills obj, or returns the API error.
func (s *Store) Get(ctx context.Context, key client.ObjectKey, obj client.Object) error {
	if err := s.cached.Get(ctx, key, obj); err != nil {
		return err
	}
	if !s.behind(obj) {
		return nil
	}
	if err := s.live.Get(ctx, key, obj); err != nil {
		return err
	}
	s.remember(obj)
	return nil
}

// behind reports whether obj is older than what this Store wrote of it.
// Versions that do not compare count as older.
func (s *Store) behind(obj client.Object) bool {
	s.mu.Lock()
	written, ok := s.written[obj.GetUID()]
	s.mu.Unlock()
	if !ok || written == obj.GetResourceVersion() {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), written)
	return err != nil || order < 0
}

func (s *Store) remember(obj client.Object) {
	s.mu.Lock()
	s.written[obj.GetUID()] = obj.GetResourceVersion()
	s.mu.Unlock()
}

// Forget drops what is remembered of an object that is gone.
func (s *Store) Forget(uid types.UID) {
	s.mu.Lock()
	delete(s.written, uid)
	s.mu.Unlock()
}

// Patcher returns a Patcher that sends what changes in obj from now on.
func (s *Store) Patcher(obj client.Object) *Patcher {
	return &Patcher{store: s, obj: obj, base: clone(obj)}
}

// Patcher sends the changes made to one object since it was last asked, as a
// merge patch: one request where something changed, none where nothing did.
type Patcher struct {
	store *Store
	obj   client.Object
	base  client.Object
}

// Status sends what changed in the status, and leaves changes of labels,
// annotations and finalizers for Metadata. An object that is gone is no error.
func (p *Patcher) Status(ctx context.Context) error {
	target := clone(p.obj)
	copyMetadata(target, p.base)
	sent, err := p.send(ctx, target, statusPatch(p.store.cached))
	if sent {
		base := clone(p.obj)
		copyMetadata(base, p.base)
		p.base = base
	}
	return err
}

// Metadata sends what changed in labels, annotations and finalizers, and
// leaves changes of the status for Status. An object that is gone is no error.
func (p *Patcher) Metadata(ctx context.Context) error {
	target := clone(p.base)
	copyMetadata(target, p.obj)
	sent, err := p.send(ctx, target, objectPatch(p.store.cached))
	if sent {
		copyMetadata(p.base, p.obj)
	}
	return err
}

// send patches the cluster from base to target and takes the new
// resourceVersion over into obj. It works on a copy because the response
// overwrites what it is given.
func (p *Patcher) send(ctx context.Context, target client.Object, patch patchFunc) (bool, error) {
	data, err := client.MergeFrom(p.base).Data(target)
	if err != nil {
		return false, fmt.Errorf("compare %s with what was read: %w", client.ObjectKeyFromObject(target), err)
	}
	if string(data) == "{}" {
		return false, nil
	}
	if err := patch(ctx, target, client.RawPatch(types.MergePatchType, data), p.store.owner); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	p.obj.SetResourceVersion(target.GetResourceVersion())
	p.base.SetResourceVersion(target.GetResourceVersion())
	p.store.remember(target)
	return true, nil
}

// patchFunc hides that the two writers of a client differ in their options.
type patchFunc func(ctx context.Context, obj client.Object, patch client.Patch, owner client.FieldOwner) error

func objectPatch(c client.Client) patchFunc {
	return func(ctx context.Context, obj client.Object, patch client.Patch, owner client.FieldOwner) error {
		return c.Patch(ctx, obj, patch, owner)
	}
}

func statusPatch(c client.Client) patchFunc {
	return func(ctx context.Context, obj client.Object, patch client.Patch, owner client.FieldOwner) error {
		return c.Status().Patch(ctx, obj, patch, owner)
	}
}

func clone(obj client.Object) client.Object {
	return obj.DeepCopyObject().(client.Object) //nolint:errcheck // a copy has the type of what was copied
}

func copyMetadata(to, from client.Object) {
	to.SetLabels(from.GetLabels())
	to.SetAnnotations(from.GetAnnotations())
	to.SetFinalizers(from.GetFinalizers())
}
