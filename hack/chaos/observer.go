// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gitops/weir/hack/chaos/judge"
)

// An observer watches the objects of one part of the load and writes down what
// becomes of them.
type observer struct {
	client dynamic.Interface
	kinds  []watched
	stop   context.CancelFunc
	joined sync.WaitGroup

	finished map[judge.Ref]bool // Jobs, before the beginning

	mu        sync.Mutex
	sightings []judge.Sighting
	live      map[judge.Ref]judge.Sighting
}

// observe begins to watch and returns when what is there has been seen.
func observe(ctx context.Context, client dynamic.Interface, kinds []watched, finished map[judge.Ref]bool) (*observer, error) {
	ctx, stop := context.WithCancel(ctx)
	o := &observer{client: client, kinds: kinds, stop: stop, finished: finished, live: map[judge.Ref]judge.Sighting{}}
	var synced []cache.InformerSynced
	begin := time.Now()
	for _, kind := range kinds {
		informer := dynamicinformer.NewFilteredDynamicInformer(client, kind.resource, kind.namespace, 0, cache.Indexers{}, nil).Informer()
		handler, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(obj any, first bool) {
				at := time.Now()
				if first {
					at = begin
				}
				o.see(obj, at, false)
			},
			UpdateFunc: func(_, obj any) { o.see(obj, time.Now(), false) },
			DeleteFunc: func(obj any) {
				if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
					obj = unknown.Obj
				}
				o.see(obj, time.Now(), true)
			},
		})
		if err != nil {
			stop()
			return nil, fmt.Errorf("watch %s: %w", kind.resource.Resource, err)
		}
		synced = append(synced, handler.HasSynced)
		o.joined.Go(func() { informer.RunWithContext(ctx) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		stop()
		return nil, fmt.Errorf("watch the load: %w", context.Cause(ctx))
	}
	return o, nil
}

// close ends the watches.
func (o *observer) close() {
	o.stop()
	o.joined.Wait()
}

func (o *observer) see(obj any, at time.Time, gone bool) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok || foreign(u) {
		return
	}
	s := judge.Sighting{At: at, Ref: refOf(u), UID: string(u.GetUID()), Number: numberOf(u), Done: isDone(u), Gone: gone}
	o.mu.Lock()
	defer o.mu.Unlock()
	// Status and managedFields are no news.
	if before, there := o.live[s.Ref]; there && !gone && before.UID == s.UID && before.Number == s.Number && before.Done == s.Done {
		return
	}
	o.sightings = append(o.sightings, s)
	if gone {
		delete(o.live, s.Ref)
	} else {
		o.live[s.Ref] = s
	}
}

// reached is the commit that every object which bears one is from, or a later
// one. HelmReleases and what they make count by their version.
func (o *observer) reached() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	least := 0
	for _, s := range o.live {
		if s.Number > 0 && (least == 0 || s.Number < least) {
			least = s.Number
		}
	}
	return least
}

// evidence is what was seen, and what is there now.
func (o *observer) evidence(ctx context.Context, commits []judge.Commit) (judge.Evidence, error) {
	live, err := list(ctx, o.client, o.kinds)
	o.mu.Lock()
	defer o.mu.Unlock()
	return judge.Evidence{
		Commits: commits, Sightings: append([]judge.Sighting(nil), o.sightings...), Live: live, Finished: o.finished,
	}, err
}

// right returns nil if the cluster is as a commit says.
func (o *observer) right(ctx context.Context, commits []judge.Commit) error {
	e, err := o.evidence(ctx, commits)
	if err != nil {
		return err
	}
	if list := judge.Differences(commits[len(commits)-1].Holds, e.Live, e.Done()); len(list) > 0 {
		return fmt.Errorf("%d objects are not as in Git, the first: %s", len(list), list[0])
	}
	return nil
}

// list reads the live objects of some kinds.
func list(ctx context.Context, client dynamic.Interface, kinds []watched) (map[judge.Ref]judge.Object, error) {
	live := map[judge.Ref]judge.Object{}
	for _, kind := range kinds {
		found, err := client.Resource(kind.resource).Namespace(kind.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.resource.Resource, err)
		}
		for i := range found.Items {
			if u := &found.Items[i]; !foreign(u) {
				live[refOf(u)] = judge.Object{UID: string(u.GetUID()), Content: contentOf(u)}
			}
		}
	}
	return live, nil
}
