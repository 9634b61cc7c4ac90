// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package watch keeps appliers informed of the objects that they applied. One
// informer per kind serves all users of a cluster; it keeps a Record of each
// object, not the object, and tells of every change that matters.
package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/health"
)

// Change of one object. Before is nil for one that is new, After for one that
// is gone or has lost its labels.
type Change struct {
	GVK           schema.GroupVersionKind
	Before, After *Record
}

// Record is what is left of the object: the state after the change, or before
// it if the object is gone.
func (c Change) Record() *Record {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// Config of a Pool.
type Config struct {
	// Client and Mapper of the cluster, with the controller's own identity.
	Client dynamic.Interface
	Mapper meta.RESTMapper
	// Labels that make an object one of ours; others are not watched.
	Labels Labels
	// Leave are the marks of objects that ask to be left alone.
	Leave []Mark
	// Merge are the marks of objects on which other managers keep what they
	// claim.
	Merge []Mark
	// Rules returns the exemptions of an owner; nil means none for anybody.
	Rules func(owner types.NamespacedName) *exemption.Rules
	// Managers whose fields are fingerprinted.
	Managers Managers
	// Checks returns the expressions by which the objects of an owner are
	// judged now, nil for none. It must not block.
	Checks func(owner types.NamespacedName) *health.Checks
	// Kinds tell what objects ask for in devices; nil for those that are built
	// in. A record is of the kinds of its time. It must not block.
	Kinds func() *gpu.Kinds
	// Changed is called for every change, one at a time per kind. It must
	// not block.
	Changed func(Change)
	Log     logr.Logger
}

// Pool runs the informers of one cluster and counts who uses each. An informer
// runs as long as it has a user.
type Pool struct {
	config   Config
	recorder *recorder
	scaled   *scaled

	mu        sync.Mutex
	ctx       context.Context //nolint:containedctx // the life of the informers, not of a call
	informers map[watched]*informer
	used      map[types.UID]map[watched]struct{}
}

// watched is what one informer looks at: all our objects of a kind, or the one
// that target names. One that somebody has judged by expressions is looked at
// for these expressions alone, since nobody else's record tells their outcome.
type watched struct {
	gvk    schema.GroupVersionKind
	target types.NamespacedName
	judge  string
}

// NewPool returns a Pool without informers. They end with ctx.
func NewPool(ctx context.Context, config Config) *Pool {
	if config.Kinds == nil {
		config.Kinds = gpu.BuiltinKinds
	}
	if config.Checks == nil {
		config.Checks = func(types.NamespacedName) *health.Checks { return nil }
	}
	p := &Pool{
		config:    config,
		recorder:  &recorder{labels: config.Labels, managers: config.Managers, leave: config.Leave, merge: config.Merge, rules: config.Rules, checks: config.Checks, kinds: config.Kinds},
		ctx:       ctx,
		informers: map[watched]*informer{},
		used:      map[types.UID]map[watched]struct{}{},
	}
	p.scaled = newScaled(ctx, config.Client, config.Mapper, config.Log)
	return p
}

// Target is an object that is looked at whatever its labels.
type Target struct {
	GVK schema.GroupVersionKind
	types.NamespacedName
	// Checks are the expressions by which the user has it judged, whoever
	// owns it.
	Checks *health.Checks
}

func (t Target) key() watched {
	return watched{gvk: t.GVK, target: t.NamespacedName, judge: t.Checks.ID(t.GVK.GroupKind())}
}

// Use says which kinds and targets a user wants watched from now on, and
// returns when all of them, and the autoscalers, have been listed once. Kinds that the API server
// does not have are left out. A later call replaces the earlier one; a call
// with nothing ends the use.
func (p *Pool) Use(ctx context.Context, user types.UID, kinds []schema.GroupVersionKind, targets []Target) error {
	wanted := map[watched]*health.Checks{}
	for _, gvk := range kinds {
		wanted[watched{gvk: gvk}] = nil
	}
	for _, target := range targets {
		wanted[target.key()] = target.Checks
	}
	started, err := p.adjust(user, wanted) //nolint:contextcheck // informers outlive the call that starts them
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	for _, i := range started {
		if err := i.wait(ctx); err != nil {
			return fmt.Errorf("list %s: %w", i.gvk.GroupKind(), err)
		}
	}
	return p.scaled.wait(ctx)
}

// listTimeout is how long a user waits for the first list of a kind. One that
// the API server cannot list must not hold a worker for ever.
const listTimeout = 30 * time.Second

// adjust starts and stops informers and returns those that the user has. If
// one cannot be started, the user keeps what it has so far.
func (p *Pool) adjust(user types.UID, wanted map[watched]*health.Checks) ([]*informer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.used[user]
	if have == nil {
		have = map[watched]struct{}{}
	}
	for key := range have {
		if _, still := wanted[key]; !still {
			p.release(user, key)
			delete(have, key)
		}
	}
	defer func() {
		if len(have) == 0 {
			delete(p.used, user)
		} else {
			p.used[user] = have
		}
	}()
	var all []*informer
	for key, checks := range wanted {
		i := p.informers[key]
		if i == nil {
			var err error
			if i, err = p.start(key, checks); err != nil {
				return nil, err
			}
			if i == nil {
				continue
			}
		}
		i.users[user] = struct{}{}
		have[key] = struct{}{}
		all = append(all, i)
	}
	return all, nil
}

// start runs an informer, or returns nil if the cluster does not have the
// kind.
func (p *Pool) start(key watched, checks *health.Checks) (*informer, error) {
	mapping, err := p.config.Mapper.RESTMapping(key.gvk.GroupKind(), key.gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the resource of %s: %w", key.gvk, err)
	}
	source := dynamic.ResourceInterface(p.config.Client.Resource(mapping.Resource))
	options := metav1.ListOptions{LabelSelector: p.config.Labels.Name}
	if key.target.Name != "" {
		options = metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, key.target.Name).String()}
		if key.target.Namespace != "" && mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			source = p.config.Client.Resource(mapping.Resource).Namespace(key.target.Namespace)
		}
	}
	recorder := p.recorder
	if key.target.Name != "" {
		recorder = p.recorder.judgedBy(checks)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	i := &informer{
		gvk:    key.gvk,
		users:  map[types.UID]struct{}{},
		cancel: cancel,
		store: newStore(recorder.record, func(before, after *Record) {
			p.config.Changed(Change{GVK: key.gvk, Before: before, After: after})
		}),
	}
	p.informers[key] = i
	name := key.gvk.GroupKind().String()
	go follow(ctx, name, source, options, i.store, i.observe, p.config.Log.WithValues("watched", name))
	return i, nil
}

func (p *Pool) release(user types.UID, key watched) {
	i := p.informers[key]
	if i == nil {
		return
	}
	delete(i.users, user)
	if len(i.users) == 0 {
		i.cancel()
		delete(p.informers, key)
	}
}

// Get returns the record of an object, or nil if there is no such object with
// our labels. It knows only kinds in use.
func (p *Pool) Get(gvk schema.GroupVersionKind, key types.NamespacedName) *Record {
	if i := p.informer(watched{gvk: gvk}); i != nil {
		return i.get(key)
	}
	return nil
}

// GetTarget returns the record of an object that a user asked for by name.
func (p *Pool) GetTarget(target Target) *Record {
	if i := p.informer(target.key()); i != nil {
		return i.get(target.NamespacedName)
	}
	return nil
}

// Refused returns why objects of a kind cannot be watched, or nil.
func (p *Pool) Refused(gvk schema.GroupVersionKind) error {
	if i := p.informer(watched{gvk: gvk}); i != nil {
		return i.refusal()
	}
	return nil
}

// RefusedTarget returns why an object asked for by name cannot be watched, or
// nil.
func (p *Pool) RefusedTarget(target Target) error {
	if i := p.informer(target.key()); i != nil {
		return i.refusal()
	}
	return nil
}

// Watching reports whether objects of a kind are being watched.
func (p *Pool) Watching(gvk schema.GroupVersionKind) bool {
	i := p.informer(watched{gvk: gvk})
	return i != nil && i.refusal() == nil
}

// Scaled reports whether an autoscaler sets the replicas of an object.
func (p *Pool) Scaled(gk schema.GroupKind, key types.NamespacedName) bool {
	return p.scaled.targets(gk, key)
}

// Record makes a record of an object that was read another way.
func (p *Pool) Record(obj *unstructured.Unstructured) *Record {
	record := p.recorder.record(obj)
	return &record
}

// Renew is Record for an object that was read because its record was made under
// other rules. The new record takes the place of that one.
func (p *Pool) Renew(obj *unstructured.Unstructured) *Record {
	record := p.recorder.record(obj)
	if i := p.informer(watched{gvk: obj.GroupVersionKind()}); i != nil {
		i.renew(obj, record)
	}
	return &record
}

// RecordFor is Record with the health by the given expressions, whoever owns
// the object.
func (p *Pool) RecordFor(obj *unstructured.Unstructured, checks *health.Checks) *Record {
	record := p.recorder.judgedBy(checks).record(obj)
	return &record
}

func (p *Pool) informer(key watched) *informer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.informers[key]
}
