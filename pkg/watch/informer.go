// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
)

// informer keeps the records of one set of objects: those of a kind with the
// owner's labels, or a single named one.
type informer struct {
	*store[Record]

	gvk    schema.GroupVersionKind
	users  map[types.UID]struct{} // guarded by the Pool
	cancel context.CancelFunc

	mu     sync.Mutex
	denied error
	last   error // what the last request ended with
}

// wait returns once the records are complete, the API server has refused to
// show them, or ctx has ended.
func (i *informer) wait(ctx context.Context) error {
	select {
	case <-i.filled:
		return nil
	case <-ctx.Done():
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.last != nil {
			return fmt.Errorf("the API server has not answered in time: %w", i.last)
		}
		return context.Cause(ctx)
	}
}

// observe notes whether the API server lets us look at the kind at all. One
// that may not be seen, or has no resource, has nothing to wait for.
func (i *informer) observe(err error) {
	refused := apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
	i.mu.Lock()
	i.last = err
	if err == nil {
		i.denied = nil
	} else if refused {
		i.denied = err
	}
	i.mu.Unlock()
	if refused || apierrors.IsNotFound(err) {
		i.settle()
	}
}

func (i *informer) refusal() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.denied
}

// follow lists and watches the objects that the options select, until ctx
// ends. It tries again whatever the error, with the back-off of the reflector,
// and tells observe how each request went.
func follow(ctx context.Context, name string, objects dynamic.ResourceInterface, selected metav1.ListOptions, into cache.ReflectorStore, observe func(error), log logr.Logger) {
	narrow := func(options *metav1.ListOptions) {
		options.LabelSelector, options.FieldSelector = selected.LabelSelector, selected.FieldSelector
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			narrow(&options)
			list, err := objects.List(ctx, options)
			observe(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			narrow(&options)
			events, err := objects.Watch(ctx, options)
			observe(err)
			return events, err
		},
	}
	reflector := cache.NewReflectorWithOptions(Persistent(source), &unstructured.Unstructured{}, into, cache.ReflectorOptions{
		Name:            name,
		TypeDescription: name,
		Logger:          &log,
		Backoff:         Backoff(),
	})
	reflector.RunWithContext(ctx)
}
