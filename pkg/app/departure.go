// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/weir-gitops/weir/pkg/watch"
)

const (
	// releasePage and releaseWidth bound the requests of a release: how many
	// objects are listed at a time, and how many are patched at a time.
	releasePage, releaseWidth = 500, 32
	// releasePause is the time between two looks for objects that still have
	// a finalizer, after one that found some, and idlePause after any other.
	releasePause, idlePause = 200 * time.Millisecond, 2 * time.Second
)

// departure sees that the definition of a kind, or the namespace of the
// controller, is being deleted, and lets go of all objects of the kind at once.
// An uninstall deletes the rights of the controller a moment later; an object
// that still has a finalizer then would hold up everything for ever. Nothing
// else becomes of the objects.
type departure struct {
	client     metadata.Interface
	name       string // of the controller
	namespace  string // of the controller; empty if that is not known
	finalizers []string
	// within and selector restrict the objects to those of this controller.
	within, selector string
	page             int64 // how many objects are listed at a time
	log              logr.Logger

	kinds map[schema.GroupVersionKind]*departing

	mu sync.Mutex
	// going are the definitions and namespaces that are being deleted.
	going map[string]bool
	// changed is closed and replaced whenever going changes.
	changed chan struct{}
}

// departing is one kind.
type departing struct {
	resource schema.GroupVersionResource
	// definition is the name of its CustomResourceDefinition.
	definition string
}

func newDeparture(a *App, s Settings, o *Options) (*departure, error) {
	c, err := metadata.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client that sees an uninstall: %w", err)
	}
	d := &departure{
		client: c, name: a.Name, namespace: o.Namespace, finalizers: s.Finalizers, selector: o.Watch.LabelSelector, page: releasePage, log: a.Log,
		kinds: map[schema.GroupVersionKind]*departing{}, going: map[string]bool{}, changed: make(chan struct{}),
	}
	if !o.Watch.AllNamespaces {
		d.within = o.Namespace
	}
	for _, kind := range s.Owned {
		gvk, err := apiutil.GVKForObject(kind, s.Scheme)
		if err != nil {
			return nil, fmt.Errorf("find the kind of %T: %w", kind, err)
		}
		// The kind may not be defined yet, so the API server cannot tell.
		resource, _ := meta.UnsafeGuessKindToResource(gvk)
		d.kinds[gvk] = &departing{resource: resource, definition: resource.GroupResource().String()}
	}
	return d, nil
}

// Leaving reports whether objects of a kind are being let go of, because the
// kind or the controller itself is being removed from the cluster. Then nothing
// is to be done for them, and no finalizer added.
func (a *App) Leaving(kind client.Object) func() bool {
	gvk, err := apiutil.GVKForObject(kind, a.Manager.GetScheme())
	known := a.departure.kinds[gvk]
	if err != nil || known == nil {
		return func() bool { return false }
	}
	return func() bool { return a.departure.leaving(known) }
}

func (d *departure) leaving(k *departing) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.going[definitionKey(k)] || d.going[namespaceKey]
}

// namespaceKey stands for the namespace of the controller in what is going.
const namespaceKey = "namespace"

func definitionKey(k *departing) string { return "definition " + k.definition }

// Start implements manager.Runnable. It runs where the controller works: on the
// leader. A standby has no business with objects that somebody else, such as a
// Flux that Weir waits for, reconciles.
func (d *departure) Start(ctx context.Context) error {
	var group errgroup.Group
	crds := apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
	for _, k := range d.kinds {
		group.Go(func() error { return d.follow(ctx, crds, k.definition, definitionKey(k)) })
		group.Go(func() error { d.await(ctx, k); return nil })
	}
	if d.namespace != "" {
		group.Go(func() error {
			return d.follow(ctx, corev1.SchemeGroupVersion.WithResource("namespaces"), d.namespace, namespaceKey)
		})
	}
	return group.Wait()
}

// follow keeps going up to date with one object until ctx ends.
func (d *departure) follow(ctx context.Context, resource schema.GroupVersionResource, name, key string) error {
	only := func(options metav1.ListOptions) metav1.ListOptions {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		return options
	}
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return d.client.Resource(resource).List(ctx, only(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			return d.client.Resource(resource).Watch(ctx, only(options))
		},
	}
	informer := toolscache.NewSharedIndexInformer(watch.Persistent(source), &metav1.PartialObjectMetadata{}, 0, toolscache.Indexers{})
	seen := func(obj any) {
		if object, ok := obj.(metav1.Object); ok {
			d.set(key, object.GetDeletionTimestamp() != nil)
		}
	}
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, obj any) { seen(obj) },
		// Without its definition a kind has no objects, and may be defined
		// anew. A namespace that is gone took the controller's rights along.
		DeleteFunc: func(any) { d.set(key, key == namespaceKey) },
	})
	if err != nil {
		return fmt.Errorf("watch %s %s: %w", resource.Resource, name, err)
	}
	informer.RunWithContext(ctx)
	return nil
}

func (d *departure) set(key string, going bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.going[key] == going {
		return
	}
	d.going[key] = going
	close(d.changed)
	d.changed = make(chan struct{})
}

// await lets go of the objects of a kind whenever it is leaving, until ctx
// ends. It goes on looking while it does, for objects that were about to get
// their finalizer.
func (d *departure) await(ctx context.Context, k *departing) {
	said := ""
	for ctx.Err() == nil {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		var pause <-chan time.Time
		if d.leaving(k) {
			released, err := d.release(ctx, k)
			pause = time.After(idlePause)
			if released > 0 {
				d.log.Info("let go of " + strconv.Itoa(released) + " objects of " + k.definition + ", because it or Weir is being uninstalled")
				pause = time.After(releasePause)
			}
			if err != nil && !apierrors.IsNotFound(err) && err.Error() != said {
				said = err.Error()
				d.log.Info("cannot let go of all objects of " + k.definition + " yet: " + said)
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-pause:
		}
	}
}

// release removes the finalizers from all objects of a kind and returns how
// many it removed. An object that keeps its finalizer does not hold up others.
func (d *departure) release(ctx context.Context, k *departing) (int, error) {
	var mu sync.Mutex
	released := 0
	refused := map[string]error{} // by namespace/name
	options := metav1.ListOptions{LabelSelector: d.selector, Limit: d.page}
	for {
		list, err := d.client.Resource(k.resource).Namespace(d.within).List(ctx, options)
		if err != nil {
			return released, fmt.Errorf("list %s: %w", k.definition, err)
		}
		var group errgroup.Group
		group.SetLimit(releaseWidth)
		for i := range list.Items {
			object := &list.Items[i]
			patch := releasePatch(object.Finalizers, d.finalizers)
			if patch == nil {
				continue
			}
			group.Go(func() error {
				err := d.releaseOne(ctx, k, object, patch)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused[object.Namespace+"/"+object.Name] = err
				} else {
					released++
				}
				return nil
			})
		}
		_ = group.Wait() // what failed is in refused
		if err := ctx.Err(); err != nil {
			return released, err
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return released, refusal(k.definition, refused)
		}
	}
}

// refusal is the error for objects that kept their finalizers, by
// namespace/name. Its text is the same whichever of them was refused first.
func refusal(kind string, refused map[string]error) error {
	if len(refused) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(refused)))
	if others := len(refused) - 1; others > 0 {
		return fmt.Errorf("remove the finalizers of %s %s and %d more: %w", kind, first, others, refused[first])
	}
	return fmt.Errorf("remove the finalizers of %s %s: %w", kind, first, refused[first])
}

// releaseOne sends a patch. An object that is gone, or whose finalizers are
// not what they were, is looked at again.
func (d *departure) releaseOne(ctx context.Context, k *departing, object *metav1.PartialObjectMetadata, patch []byte) error {
	_, err := d.client.Resource(k.resource).Namespace(object.Namespace).
		Patch(ctx, object.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: d.name})
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// releasePatch returns a JSON patch that removes some of the finalizers that an
// object has, and fails if they are others by then. It is nil if the object has
// none of those.
func releasePatch(has, remove []string) []byte {
	operations := ""
	for i, finalizer := range slices.Backward(has) {
		if !slices.Contains(remove, finalizer) {
			continue
		}
		path := "/metadata/finalizers/" + strconv.Itoa(i)
		if operations != "" {
			operations += ","
		}
		operations += fmt.Sprintf(`{"op":"test","path":%q,"value":%q},{"op":"remove","path":%[1]q}`, path, finalizer)
	}
	if operations == "" {
		return nil
	}
	return []byte("[" + operations + "]")
}
