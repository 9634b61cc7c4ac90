// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package holdings

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/weir-gitops/weir/pkg/watch"
)

const (
	// silence is how long a watch of pods may bring nothing before it is
	// opened anew. The API server sends a bookmark about once a minute.
	silence = 3 * time.Minute
	// patience is how long the API server may take to open a watch. One that
	// never answers would otherwise be waited for without an end.
	patience = 15 * time.Second
	// listPage is how many pods are listed at a time where the API server
	// cannot stream them.
	listPage = 500
)

// Watcher keeps a Store equal to the API server.
type Watcher struct {
	Store *Store

	pods  corev1client.PodsGetter
	nodes metadata.Interface
	log   logr.Logger

	mu sync.Mutex
	// relist ends the present watch and begins with a live list.
	relist context.CancelFunc
}

var (
	_ manager.Runnable               = (*Watcher)(nil)
	_ manager.LeaderElectionRunnable = (*Watcher)(nil)
)

// NewWatcher returns a Watcher with an empty Store. Pods travel as protobuf.
func NewWatcher(config *rest.Config, log logr.Logger) (*Watcher, error) {
	config = rest.CopyConfig(config)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	pods, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the client for pods: %w", err)
	}
	nodes, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the client for nodes: %w", err)
	}
	return &Watcher{Store: NewStore(), pods: pods, nodes: nodes, log: log}, nil
}

// NeedLeaderElection is false: a standby that leads next knows all pods.
func (w *Watcher) NeedLeaderElection() bool { return false }

// Relist forgets the present watch and begins anew with a live list, for when
// what it says cannot be.
func (w *Watcher) Relist() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.relist != nil {
		w.relist()
	}
}

// Start watches until ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { w.watchNodes(ctx) })
	defer group.Wait()
	for ctx.Err() == nil {
		round, cancel := context.WithCancel(ctx)
		w.mu.Lock()
		w.relist = cancel
		w.mu.Unlock()
		reflector := cache.NewReflectorWithOptions(watch.Persistent(w.source()), &item{}, store{w.Store}, cache.ReflectorOptions{Name: "gpu pods", Backoff: watch.Backoff()})
		reflector.RunWithContext(round)
		cancel()
	}
	return nil
}

// source lists and watches pods and makes them small before anybody keeps
// them.
func (w *Watcher) source() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			// Page by page, so that no more than one page is ever there in full,
			// and not from a cache that may be old.
			options.Limit = listPage
			if options.Continue == "" {
				options.ResourceVersion, options.ResourceVersionMatch = "", ""
			}
			list, err := w.pods.Pods(metav1.NamespaceAll).List(ctx, options)
			if err != nil {
				return nil, err
			}
			small := &itemList{ListMeta: list.ListMeta, Items: make([]item, len(list.Items))}
			for i := range list.Items {
				small.Items[i] = *newItem(&list.Items[i])
			}
			return small, nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			return w.open(ctx, options)
		},
	}
}

// open opens a watch whose pods are small.
func (w *Watcher) open(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
	ctx, cancel := context.WithCancel(ctx)
	alarm := time.AfterFunc(patience, cancel)
	events, err := w.pods.Pods(metav1.NamespaceAll).Watch(ctx, options)
	if !alarm.Stop() && err == nil {
		events.Stop()
		err = fmt.Errorf("watch pods: the API server did not answer within %s", patience)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return w.shrink(events, cancel), nil
}

// shrink makes the pods of a watch small, and ends a watch that is silent. Ended
// is called when it is over.
func (w *Watcher) shrink(events apiwatch.Interface, ended func()) apiwatch.Interface {
	out := make(chan apiwatch.Event)
	small := apiwatch.NewProxyWatcher(out)
	go func() {
		defer close(out)
		defer ended()
		defer events.Stop()
		alarm := time.NewTimer(silence)
		defer alarm.Stop()
		for {
			select {
			case <-small.StopChan():
				return
			case <-alarm.C:
				w.log.Info("the watch of pods was silent for too long and is opened anew")
				return
			case event, ok := <-events.ResultChan():
				if !ok {
					return
				}
				alarm.Reset(silence)
				if pod, ok := event.Object.(*corev1.Pod); ok {
					event.Object = newItem(pod)
				}
				select {
				case <-small.StopChan():
					return
				case out <- event:
				}
			}
		}
	}()
	return small
}

// newItem makes of a pod, or of a bookmark, what the reflector and the Store
// need.
func newItem(pod *corev1.Pod) *item {
	return &item{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Annotations: initialEventsEnd(pod.Annotations),
		},
		pod: newPod(pod),
	}
}

// initialEventsEnd keeps the one annotation that means something to a
// reflector.
func initialEventsEnd(annotations map[string]string) map[string]string {
	if value, ok := annotations[metav1.InitialEventsAnnotationKey]; ok {
		return map[string]string{metav1.InitialEventsAnnotationKey: value}
	}
	return nil
}

// DeepCopyObject implements runtime.Object.
func (i *item) DeepCopyObject() runtime.Object {
	c := *i
	return &c
}

// itemList is a list of items.
type itemList struct {
	metav1.TypeMeta
	metav1.ListMeta

	Items []item
}

// DeepCopyObject implements runtime.Object.
func (l *itemList) DeepCopyObject() runtime.Object {
	c := *l
	return &c
}

// watchNodes keeps the labels of nodes.
func (w *Watcher) watchNodes(ctx context.Context) {
	resource := w.nodes.Resource(corev1.SchemeGroupVersion.WithResource("nodes"))
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			return resource.Watch(ctx, options)
		},
	}
	informer := cache.NewSharedIndexInformer(watch.Persistent(source), &metav1.PartialObjectMetadata{}, 0, cache.Indexers{})
	err := informer.SetTransform(func(obj any) (any, error) {
		if node, ok := obj.(*metav1.PartialObjectMetadata); ok {
			node.ManagedFields, node.Annotations, node.OwnerReferences = nil, nil, nil
		}
		return obj, nil
	})
	seen := func(obj any) {
		if node, ok := obj.(*metav1.PartialObjectMetadata); ok {
			labels := node.Labels
			if labels == nil {
				labels = map[string]string{}
			}
			w.Store.setNode(node.Name, labels)
		}
	}
	registration, handled := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, obj any) { seen(obj) },
		DeleteFunc: func(obj any) {
			if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = tombstone.Obj
			}
			if node, ok := obj.(*metav1.PartialObjectMetadata); ok {
				w.Store.setNode(node.Name, nil)
			}
		},
	})
	if err := errors.Join(err, handled); err != nil {
		w.log.Error(err, "watch nodes")
		return
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			w.Store.setNodesSynced()
		}
	}()
	informer.RunWithContext(ctx)
}

// notThere reports whether an error says that an object does not exist.
func notThere(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsGone(err) }
