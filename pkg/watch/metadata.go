// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

// Observer is told of the metadata of objects by FollowMetadata.
type Observer interface {
	cache.ReflectorStore
	// Listing is called before the objects are asked for from the start. What
	// Replace is called with afterwards is at least as new as this moment.
	Listing()
	// Asked is called with the outcome of every request.
	Asked(err error)
}

// FollowMetadata lists and watches the metadata of the objects that the labels
// and fields in selected select, until ctx ends or the API server refuses to
// show them: that is the error. Whatever else goes wrong is tried again.
func FollowMetadata(ctx context.Context, name string, objects metadata.ResourceInterface, selected metav1.ListOptions, into Observer, log logr.Logger) error {
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	asked := func(err error) {
		into.Asked(err)
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			refuse(err)
		}
	}
	narrow := func(options *metav1.ListOptions) {
		options.LabelSelector, options.FieldSelector = selected.LabelSelector, selected.FieldSelector
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			narrow(&options)
			into.Listing()
			list, err := objects.List(ctx, options)
			asked(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			narrow(&options)
			if options.SendInitialEvents != nil && *options.SendInitialEvents {
				into.Listing()
			}
			events, err := objects.Watch(ctx, options)
			asked(err)
			return events, err
		},
	}
	reflector := cache.NewReflectorWithOptions(Persistent(source), &metav1.PartialObjectMetadata{}, into, cache.ReflectorOptions{
		Name:            name,
		TypeDescription: name,
		Logger:          &log,
	})
	reflector.RunWithContext(ctx)
	return context.Cause(ctx)
}
