// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package view keeps the Forest of the quotas that the cluster has, and knows
// which of them each namespace draws on.
package view

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
)

// settle is how long changes are collected before a new Forest is made of them.
const settle = 20 * time.Millisecond

// State is the quotas and namespaces of a cluster at one time. It does not
// change.
type State struct {
	Forest *tree.Forest
	tree.Assignment
	// Namespaces are all that exist, by name.
	Namespaces map[string]map[string]string
}

// Root returns the root of the tree that a namespace draws on, or "".
func (s *State) Root(namespace string) string {
	if q := s.Forest.Quota(s.Owner[namespace]); q != nil {
		return q.Root
	}
	return ""
}

// View follows quotas and namespaces through the caches of a manager.
type View struct {
	cache    cache.Cache
	live     client.Reader
	excluded []string

	state     atomic.Pointer[State]
	dirty     chan struct{}
	synced    chan struct{}
	mu        sync.Mutex
	listeners []func(*State)
	recall    func(context.Context) (*tree.Forest, error)
}

var (
	_ manager.Runnable               = (*View)(nil)
	_ manager.LeaderElectionRunnable = (*View)(nil)
)

// New returns a View. Namespaces that are excluded draw on no quota. Recall
// returns the trees that held before this process began, from the ledgers; nil:
// none did.
func New(c cache.Cache, live client.Reader, excluded []string, recall func(context.Context) (*tree.Forest, error)) *View {
	return &View{cache: c, live: live, excluded: excluded, dirty: make(chan struct{}, 1), synced: make(chan struct{}), recall: recall}
}

// NeedLeaderElection is false: webhooks need it on every replica.
func (v *View) NeedLeaderElection() bool { return false }

// State returns what is known now, or nil as long as nothing is.
func (v *View) State() *State { return v.state.Load() }

// Await returns the State once there is one.
func (v *View) Await(ctx context.Context) (*State, error) {
	select {
	case <-v.synced:
		return v.State(), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Owner returns the quota that a namespace draws on now, and the root of its
// tree. A namespace that is not known yet is read from the API server; ok is
// false if no quota selects it.
func (v *View) Owner(ctx context.Context, namespace string) (quota, root string, ok bool, err error) {
	state, err := v.Await(ctx)
	if err != nil {
		return "", "", false, fmt.Errorf("find the GPUQuota of namespace %s: %w", namespace, err)
	}
	labels, known := state.Namespaces[namespace]
	if !known {
		object := newNamespace()
		if err := v.live.Get(ctx, client.ObjectKey{Name: namespace}, object); err != nil {
			return "", "", false, fmt.Errorf("find the GPUQuota of namespace %s: %w", namespace, err)
		}
		labels = object.Labels
	}
	quota, root, ok = state.Forest.Owner(namespace, labels)
	return quota, root, ok, nil
}

// Listen has f called with each new State, in order and from one goroutine. It
// must not block.
func (v *View) Listen(f func(*State)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.listeners = append(v.listeners, f)
}

func newNamespace() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
}

// Start follows until ctx ends.
func (v *View) Start(ctx context.Context) error {
	for _, kind := range []client.Object{&quotav1.GPUQuota{}, newNamespace()} {
		informer, err := v.cache.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { v.touch() },
			UpdateFunc: func(before, now any) {
				if changed(before, now) {
					v.touch()
				}
			},
			DeleteFunc: func(any) { v.touch() },
		})
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			return nil
		}
	}
	previous, err := v.recalled(ctx)
	if err != nil {
		return err
	}
	if err := v.look(ctx, previous); err != nil {
		return err
	}
	close(v.synced)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-v.dirty:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settle):
		}
		if err := v.look(ctx, v.State().Forest); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (v *View) recalled(ctx context.Context) (*tree.Forest, error) {
	if v.recall == nil {
		return nil, nil
	}
	previous, err := v.recall(ctx)
	if err != nil {
		return nil, fmt.Errorf("recall the trees of quotas from their ledgers: %w", err)
	}
	return previous, nil
}

// changed reports whether an update is about more than a status.
func changed(before, now any) bool {
	if quota, ok := now.(*quotav1.GPUQuota); ok {
		old, ok := before.(*quotav1.GPUQuota)
		return !ok || old.UID != quota.UID || old.Generation != quota.Generation || old.ResourceVersion == quota.ResourceVersion
	}
	if namespace, ok := now.(*metav1.PartialObjectMetadata); ok {
		old, ok := before.(*metav1.PartialObjectMetadata)
		return !ok || !maps.Equal(old.Labels, namespace.Labels)
	}
	return true
}

func (v *View) touch() {
	select {
	case v.dirty <- struct{}{}:
	default:
	}
}

// look makes a State of what the caches have.
func (v *View) look(ctx context.Context, previous *tree.Forest) error {
	var quotas quotav1.GPUQuotaList
	if err := v.cache.List(ctx, &quotas); err != nil {
		return fmt.Errorf("list GPUQuotas: %w", err)
	}
	namespaces := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NamespaceList"}}
	if err := v.cache.List(ctx, namespaces); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	state := &State{Forest: tree.New(previous, quotas.Items, v.excluded...), Namespaces: make(map[string]map[string]string, len(namespaces.Items))}
	all := make([]tree.Namespace, 0, len(namespaces.Items))
	for i := range namespaces.Items {
		ns := &namespaces.Items[i]
		state.Namespaces[ns.Name] = ns.Labels
		all = append(all, tree.Namespace{Name: ns.Name, Labels: ns.Labels})
	}
	slices.SortFunc(all, func(a, b tree.Namespace) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	state.Assignment = state.Forest.Assign(all)
	v.state.Store(state)
	v.mu.Lock()
	listeners := slices.Clone(v.listeners)
	v.mu.Unlock()
	for _, listener := range listeners {
		listener(state)
	}
	return nil
}
