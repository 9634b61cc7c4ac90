// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
)

// Reference is a Secret or ConfigMap that somebody refers to.
type Reference struct {
	// Kind is Secret or ConfigMap.
	Kind, Namespace, Name string
	// Version is VersionOf the object as the user has read it. If it is not the
	// present one the user is woken. Empty: the user has read nothing.
	Version string
}

// VersionOf tells one state of an object from any other.
func VersionOf(object metav1.Object) string {
	return string(object.GetUID()) + "/" + object.GetResourceVersion()
}

// Basis is how a user hears of changes of what it refers to.
type Basis int

// The bases, from the best to the worst.
const (
	// Watched: every change wakes.
	Watched Basis = iota
	// Labelled: only objects that carry the label may be watched.
	Labelled
	// Interval: nothing may be watched; the user has to look by itself.
	Interval
)

// String names the basis.
func (b Basis) String() string { return [...]string{"Watched", "Labelled", "Interval"}[b] }

// References wakes users when a Secret or ConfigMap changes that they refer to.
// It watches metadata only, one kind in one namespace at a time, and only where
// somebody refers to something.
type References struct {
	ctx      context.Context //nolint:containedctx // the life of the watches, not of a call
	client   metadata.Interface
	labelled string
	wake     func(types.NamespacedName)
	log      logr.Logger
	retry    time.Duration

	mu    sync.Mutex
	desks map[where]*desk
	users map[types.NamespacedName]map[Reference]struct{} // without versions
}

// where a reference leads: a kind in a namespace.
type where struct{ kind, namespace string }

// DefaultConfigsLabel selects what is watched where not everything may be.
const DefaultConfigsLabel = "reconcile.fluxcd.io/watch=Enabled"

// retryReferences is how long it takes until what the API server has refused is
// tried again. Roles change seldom.
const retryReferences = 5 * time.Minute

// A ReferencesOption changes what NewReferences makes.
type ReferencesOption func(*References)

// LabelledBy sets the label selector of what is watched where not everything
// may be. The default is DefaultConfigsLabel.
func LabelledBy(selector string) ReferencesOption {
	return func(r *References) { r.labelled = selector }
}

// NewReferences returns References without watches. They end with ctx. Wake is
// called with whom to wake, and must not block.
func NewReferences(ctx context.Context, client metadata.Interface, wake func(types.NamespacedName), log logr.Logger, options ...ReferencesOption) *References {
	r := &References{
		ctx: ctx, client: client, labelled: DefaultConfigsLabel, wake: wake, log: log, retry: retryReferences,
		desks: map[where]*desk{}, users: map[types.NamespacedName]map[Reference]struct{}{},
	}
	for _, option := range options {
		option(r)
	}
	return r
}

// Follow has a user woken by what it refers to from now on, instead of what an
// earlier call named, and returns how: by the worst of the bases. It does not
// block. The user is woken as well when the basis turns out to be another one,
// and when an object has changed since the user has read it.
func (r *References) Follow(user types.NamespacedName, refs []Reference) Basis {
	r.mu.Lock()
	defer r.mu.Unlock()
	basis := Watched
	wanted := map[Reference]struct{}{}
	stale := false
	for _, ref := range refs {
		at := where{ref.Kind, ref.Namespace}
		d := r.desks[at]
		if d == nil {
			d = r.start(at)
		}
		stale = d.join(user, ref) || stale
		basis = max(basis, d.basis)
		ref.Version = ""
		wanted[ref] = struct{}{}
	}
	r.leave(user, wanted)
	if len(wanted) > 0 {
		r.users[user] = wanted
	}
	if stale {
		r.wake(user)
	}
	return basis
}

// Forget ends what Follow began.
func (r *References) Forget(user types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave(user, nil)
}

// Watching returns how many watches there are.
func (r *References) Watching() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.desks)
}

// leave takes a user away from what it does not refer to any more. The caller
// holds the lock.
func (r *References) leave(user types.NamespacedName, wanted map[Reference]struct{}) {
	for ref := range r.users[user] {
		if _, still := wanted[ref]; still {
			continue
		}
		at := where{ref.Kind, ref.Namespace}
		d := r.desks[at]
		if d.leave(user, ref.Name); len(d.users) == 0 {
			d.cancel()
			delete(r.desks, at)
		}
	}
	if len(wanted) == 0 {
		delete(r.users, user)
	}
}

// start begins a watch. The caller holds the lock.
func (r *References) start(at where) *desk {
	ctx, cancel := context.WithCancel(r.ctx)
	d := &desk{of: r, cancel: cancel, present: map[string]string{}, users: map[string]map[types.NamespacedName]reader{}}
	r.desks[at] = d
	go r.follow(ctx, d, at)
	return d
}

// follow watches everything, or what is labelled if that is refused, and tries
// again now and then for more than it has.
func (r *References) follow(ctx context.Context, d *desk, at where) {
	resource, selected := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, metav1.ListOptions{}
	if at.kind == "Secret" {
		// Helm's records are many, change often, and nobody refers to them.
		resource.Resource, selected.FieldSelector = "secrets", "type!=helm.sh/release.v1"
	}
	objects := r.client.Resource(resource).Namespace(at.namespace)
	log := r.log.WithValues("kind", at.kind, "namespace", at.namespace)
	for ctx.Err() == nil {
		d.begin(Watched)
		err := FollowMetadata(ctx, "references", objects, selected, d, log)
		if ctx.Err() != nil {
			return
		}
		log.V(1).Info("What is referred to may not be watched; trying by label", "error", err.Error())
		within, cancel := context.WithTimeout(ctx, r.retry)
		d.begin(Labelled)
		labelled := selected
		labelled.LabelSelector = r.labelled
		if err := FollowMetadata(within, "labelled references", objects, labelled, d, log); within.Err() == nil {
			log.V(1).Info("What is referred to may not be watched by label either; it is read at the interval", "error", err.Error())
			d.begin(Interval)
			d.settle()
			<-within.Done()
		}
		cancel()
	}
}

// desk is one watch, and who uses it. It is guarded by the lock of its
// References.
type desk struct {
	of     *References
	cancel context.CancelFunc

	basis   Basis             // what users were told
	trying  Basis             // what is being asked for
	listed  bool              // present is complete, as far as it may be seen
	lists   Basis             // the basis of the list that present is from
	present map[string]string // versions by name
	// users by the name of the object that they refer to.
	users map[string]map[types.NamespacedName]reader
}

// reader is what a user knows of an object.
type reader struct {
	read  string // the version that it has read, if any
	woken string // the version that it had read when it was woken for that
}

// join adds a user and reports whether it has to be woken since it has read
// another state than the present one.
func (d *desk) join(user types.NamespacedName, ref Reference) bool {
	if d.users[ref.Name] == nil {
		d.users[ref.Name] = map[types.NamespacedName]reader{}
	}
	d.users[ref.Name][user] = reader{read: ref.Version, woken: d.users[ref.Name][user].woken}
	return d.listed && d.stale(user, ref.Name)
}

// stale reports whether a user has read another state of an object than the
// present one, once for each state: it may be the watch that is behind.
func (d *desk) stale(user types.NamespacedName, name string) bool {
	knows := d.users[name][user]
	present, known := d.present[name]
	if knows.read == "" || knows.read == knows.woken || present == knows.read || !known && d.lists != Watched {
		return false
	}
	knows.woken = knows.read
	d.users[name][user] = knows
	return true
}

func (d *desk) leave(user types.NamespacedName, name string) {
	delete(d.users[name], user)
	if len(d.users[name]) == 0 {
		delete(d.users, name)
	}
}

func (d *desk) begin(basis Basis) {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.trying = basis
}

// settle notes that what is being tried works. Whoever was told otherwise is
// woken.
func (d *desk) settle() {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.settled()
}

func (d *desk) settled() {
	if d.basis == d.trying {
		return
	}
	d.basis = d.trying
	d.wake(slices.Collect(maps.Keys(d.users))...)
}

// wake wakes who refers to objects. The caller holds the lock.
func (d *desk) wake(names ...string) {
	woken := map[types.NamespacedName]struct{}{}
	for _, name := range names {
		for user := range d.users[name] {
			if _, already := woken[user]; !already {
				woken[user] = struct{}{}
				d.of.wake(user)
			}
		}
	}
}

// Listing implements Observer.
func (d *desk) Listing() {}

// Asked implements Observer.
func (d *desk) Asked(err error) {
	if err == nil {
		d.settle()
	}
}

// Replace implements cache.ReflectorStore. Objects that come into sight because
// more is permitted now are no news, unless they are not as they were read.
func (d *desk) Replace(items []any, _ string) error {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	before, alike := d.present, d.listed && d.lists == d.trying
	d.present, d.listed, d.lists = map[string]string{}, true, d.trying
	for _, item := range items {
		if name, version, ok := versionOf(item); ok {
			d.present[name] = version
		}
	}
	for name, users := range d.users {
		if was, is := before[name], d.present[name]; was != is && (alike || was != "" && is != "") {
			d.wake(name)
			continue
		}
		for user := range users {
			if d.stale(user, name) {
				d.of.wake(user)
			}
		}
	}
	return nil
}

// Add implements cache.ReflectorStore.
func (d *desk) Add(item any) error {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	if name, version, ok := versionOf(item); ok && d.present[name] != version {
		d.present[name] = version
		d.wake(name)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (d *desk) Update(item any) error { return d.Add(item) }

// Delete implements cache.ReflectorStore.
func (d *desk) Delete(item any) error {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	if name, _, ok := versionOf(item); ok {
		delete(d.present, name)
		d.wake(name)
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (d *desk) Resync() error { return nil }

func versionOf(item any) (name, version string, ok bool) {
	object, ok := item.(metav1.Object)
	if !ok {
		return "", "", false
	}
	return object.GetName(), VersionOf(object), true
}
