// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps the artifacts of the leader on the disk of a replica
// that waits for its turn, so that it can serve them the moment it leads, with
// every remote out of reach.
//
// A copy is made from where the status of its object says, and is put into
// place only if it has the digest that stands there. Nothing else is written:
// not a status, not an event. The copies go by the same rules as the leader's
// artifacts. When this replica is elected the mirror ends before anything of the
// leader's begins, and leaves nothing half written.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

const (
	// width is how many artifacts are copied at a time.
	width = 4
	// firstRetry and lastRetry are the waits after a copy that failed. The
	// leader may be away for as long as nobody has been elected.
	firstRetry, lastRetry = time.Second, 30 * time.Second
	// round is how often what is copied is looked at again: old artifacts are
	// due to go, and a disk may have been emptied.
	round = time.Minute
	// Patience is how long a replica that does not get at the artifacts stays
	// unready. A leader that cannot be reached must not keep its successor from
	// being one.
	Patience = time.Minute
)

// Object is a source.
type Object interface {
	client.Object
	GetArtifact() *fluxmeta.Artifact
}

// Kind is a kind of source.
type Kind struct {
	// Name of the kind, and of the directory of its artifacts.
	Name string
	// New returns an empty object.
	New func() Object
	// Pointer is the name that leads to the artifact, whatever its revision;
	// empty where there is none.
	Pointer string
}

// Options are what a Mirror works with. All are needed.
type Options struct {
	// Cache watches the objects.
	Cache cache.Cache
	Kinds []Kind
	// Storage is where copies go.
	Storage *storage.Storage
	// Fetcher reaches the leader.
	Fetcher *artifact.Fetcher
	Figures *Figures
	Log     logr.Logger
}

// Mirror is a runnable of a manager on replicas that do not lead.
type Mirror struct {
	options Options
	kinds   map[string]Kind // by name in lower case
	queue   workqueue.TypedRateLimitingInterface[storage.Object]
	begun   time.Time

	mu sync.Mutex
	// retired: this replica leads, or has.
	retired bool
	// cancel and ended are there while it runs.
	cancel context.CancelFunc
	ended  chan struct{}
	// copied are the artifacts that are on disk, and missing those that could
	// not be copied, each by its digest.
	copied, missing map[storage.Object]mark
	// due are the objects that have not been looked at since the start; nil
	// before they are known.
	due    map[storage.Object]struct{}
	listed bool
}

// mark tells one artifact of an object from another.
type mark struct{ path, digest string }

func markOf(a *fluxmeta.Artifact) mark { return mark{a.Path, a.Digest} }

// New returns a Mirror.
func New(o Options) *Mirror {
	m := &Mirror{
		options: o,
		kinds:   map[string]Kind{},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[storage.Object](firstRetry, lastRetry)),
		begun:  time.Now(),
		copied: map[storage.Object]mark{}, missing: map[storage.Object]mark{}, due: map[storage.Object]struct{}{},
	}
	for _, k := range o.Kinds {
		m.kinds[strings.ToLower(k.Name)] = k
	}
	return m
}

// NeedLeaderElection is false: the leader is who does not need it.
func (m *Mirror) NeedLeaderElection() bool { return false }

// Retire ends the mirror for good and returns when nothing of it runs.
func (m *Mirror) Retire() {
	m.mu.Lock()
	m.retired = true
	cancel, ended := m.cancel, m.ended
	m.mu.Unlock()
	if cancel == nil {
		return
	}
	begun := time.Now()
	cancel()
	<-ended
	m.mu.Lock()
	copied, missing := len(m.copied), len(m.missing)
	m.mu.Unlock()
	m.options.Figures.clear()
	m.options.Log.Info("this replica leads: the mirror has ended", "copied", copied, "missing", missing, "took", time.Since(begun).String())
}

// Start copies until ctx ends or Retire is called.
func (m *Mirror) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.retired {
		m.mu.Unlock()
		return nil
	}
	ctx, m.cancel = context.WithCancel(ctx)
	m.ended = make(chan struct{})
	m.mu.Unlock()
	defer close(m.ended)
	defer m.cancel()

	defer m.queue.ShutDown()
	stop := context.AfterFunc(ctx, m.queue.ShutDown)
	defer stop()
	var workers sync.WaitGroup
	for range width {
		workers.Go(func() { m.work(ctx) })
	}
	err := m.follow(ctx)
	if ctx.Err() != nil {
		err = nil
	} else {
		m.cancel()
	}
	workers.Wait()
	return err
}

// follow queues what changes until ctx ends.
func (m *Mirror) follow(ctx context.Context) error {
	for _, k := range m.options.Kinds {
		if err := m.watch(ctx, k); err != nil {
			return fmt.Errorf("watch %s, whose artifacts are to be copied: %w", k.Name, err)
		}
	}
	m.sweep()
	m.mu.Lock()
	m.listed = true
	m.mu.Unlock()
	ticker := time.NewTicker(round)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.again()
		case <-ctx.Done():
			return nil
		}
	}
}

// watch queues the objects of one kind, and returns when all that there are now
// are queued.
func (m *Mirror) watch(ctx context.Context, k Kind) error {
	informer, err := m.options.Cache.GetInformer(ctx, k.New())
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(m.handler(k))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(registration) })
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return ctx.Err()
	}
	return nil
}

// handler queues the objects of one kind.
func (m *Mirror) handler(k Kind) toolscache.ResourceEventHandler {
	name := func(obj any) (storage.Object, *fluxmeta.Artifact) {
		if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		o, ok := obj.(Object)
		if !ok {
			return storage.Object{}, nil
		}
		return storage.Object{Kind: k.Name, Namespace: o.GetNamespace(), Name: o.GetName()}, o.GetArtifact()
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if o, a := name(obj); a != nil {
				m.expect(o)
			}
		},
		UpdateFunc: func(before, after any) {
			_, old := name(before)
			o, a := name(after)
			if a != nil && (old == nil || markOf(old) != markOf(a)) {
				m.queue.Add(o)
			}
		},
		DeleteFunc: func(obj any) {
			if o, _ := name(obj); o.Name != "" {
				m.queue.Add(o)
			}
		},
	}
}

// expect queues an object that is there at the start, or new.
func (m *Mirror) expect(o storage.Object) {
	m.mu.Lock()
	if !m.listed {
		m.due[o] = struct{}{}
	}
	m.mu.Unlock()
	m.queue.Add(o)
}

// sweep queues what is on disk: objects may have gone while nobody looked.
func (m *Mirror) sweep() {
	objects, err := m.options.Storage.Objects()
	if err != nil {
		m.options.Log.Error(err, "copies of artifacts whose objects are gone may stay on disk")
		return
	}
	for _, o := range objects {
		if k, ok := m.kinds[o.Kind]; ok {
			o.Kind = k.Name
			m.queue.Add(o)
		}
	}
}

// again queues everything that was copied.
func (m *Mirror) again() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for o := range m.copied {
		m.queue.Add(o)
	}
}

// work takes objects from the queue until it is shut down.
func (m *Mirror) work(ctx context.Context) {
	for {
		o, over := m.queue.Get()
		if over {
			return
		}
		m.handle(ctx, o)
		m.queue.Done(o)
	}
}

func (m *Mirror) handle(ctx context.Context, o storage.Object) {
	if ctx.Err() != nil {
		return
	}
	a, err := m.bring(ctx, o)
	if ctx.Err() != nil {
		return
	}
	m.note(o, a, err)
	if err != nil {
		m.queue.AddRateLimited(o)
		return
	}
	m.queue.Forget(o)
}

// note remembers what became of an object, and says once for each artifact that
// it cannot be copied.
func (m *Mirror) note(o storage.Object, a *fluxmeta.Artifact, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.due, o)
	said := m.missing[o]
	delete(m.missing, o)
	switch {
	case a == nil:
		delete(m.copied, o)
	case err == nil:
		m.copied[o] = markOf(a)
	default:
		delete(m.copied, o)
		m.missing[o] = markOf(a)
		if said != markOf(a) {
			m.options.Log.Error(err, "cannot copy an artifact of the leader, which is tried again",
				"kind", o.Kind, "namespace", o.Namespace, "name", o.Name, "revision", a.Revision, "digest", a.Digest)
		}
	}
	m.options.Figures.hold(len(m.copied), len(m.missing))
}

// Ready returns nil when every artifact that there was at the start has been
// copied, or was tried to be; when that takes longer than Patience; and when
// this replica leads. Until then a rollout keeps the leader that it is about to
// replace.
func (m *Mirror) Ready(*http.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.retired || time.Since(m.begun) > Patience:
		return nil
	case !m.listed:
		return errors.New("the artifacts to be copied from the leader are not known yet")
	case len(m.due) > 0:
		return fmt.Errorf("%d artifacts are still to be copied from the leader", len(m.due))
	}
	return nil
}
