// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"sync/atomic"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Kinds are the kinds that are counted: those that are built in and those of one
// ConfigMap, which may change, come and go. One that cannot be read changes
// nothing.
type Kinds struct {
	current atomic.Pointer[gpu.Kinds]
	log     logr.Logger
}

// NewKinds returns the kinds that the ConfigMap of that name adds to. It is
// watched until ctx ends.
func NewKinds(ctx context.Context, configMaps dynamic.ResourceInterface, name string, log logr.Logger) *Kinds {
	k := &Kinds{log: log}
	k.current.Store(gpu.BuiltinKinds())
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return configMaps.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			options.FieldSelector = selector
			return configMaps.Watch(ctx, options)
		},
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: watch.Persistent(source), ObjectType: &unstructured.Unstructured{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    k.declared,
			UpdateFunc: func(_, obj any) { k.declared(obj) },
			DeleteFunc: func(any) { k.current.Store(gpu.BuiltinKinds()) },
		},
	})
	go controller.RunWithContext(ctx)
	return k
}

// Current returns the kinds as they are now.
func (k *Kinds) Current() *gpu.Kinds { return k.current.Load() }

func (k *Kinds) declared(obj any) {
	configMap, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return
	}
	data, _, _ := unstructured.NestedStringMap(configMap.Object, "data")
	kinds, err := gpu.BuiltinKinds().With(data)
	if err != nil {
		k.log.Error(err, "the kinds of the ConfigMap cannot be used; those before hold", "configMap", configMap.GetNamespace()+"/"+configMap.GetName())
		return
	}
	k.current.Store(kinds)
}
