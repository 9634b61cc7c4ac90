// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
)

// autoscalers are the kinds whose spec.scaleTargetRef names an object whose
// replicas they set.
var autoscalers = []schema.GroupVersionKind{
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"},
}

// lookForAutoscalers is how often the cluster is asked again for a kind of
// autoscaler that it did not have. One that was installed later is known
// within this time.
const lookForAutoscalers = 10 * time.Minute

// scaled knows the objects whose replicas an autoscaler sets.
type scaled struct {
	mu     sync.RWMutex
	counts map[scaleTarget]int
}

// scaleTarget is the object that an autoscaler points to.
type scaleTarget struct {
	kind schema.GroupKind
	key  types.NamespacedName
}

func newScaled(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger) *scaled {
	s := &scaled{counts: map[scaleTarget]int{}}
	for _, gvk := range autoscalers {
		go s.follow(ctx, gvk, client, mapper, log)
	}
	return s
}

// follow waits until the cluster has the kind, then watches it until ctx ends.
func (s *scaled) follow(ctx context.Context, gvk schema.GroupVersionKind, client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger) {
	var mapping *meta.RESTMapping
	err := wait.PollUntilContextCancel(ctx, lookForAutoscalers, true, func(context.Context) (found bool, _ error) {
		var err error
		mapping, err = mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		return err == nil, nil
	})
	if err != nil {
		return
	}
	name := gvk.GroupKind().String()
	follow(ctx, name, client.Resource(mapping.Resource), metav1.ListOptions{}, newStore(scaleTargetOf, s.changed), func(error) {}, log.WithValues("watched", name))
}

func (s *scaled) changed(before, after *scaleTarget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before != nil {
		if s.counts[*before]--; s.counts[*before] == 0 {
			delete(s.counts, *before)
		}
	}
	if after != nil {
		s.counts[*after]++
	}
}

func (s *scaled) targets(gk schema.GroupKind, key types.NamespacedName) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.counts[scaleTarget{gk, key}] > 0
}

// scaleTargetOf reads spec.scaleTargetRef. KEDA's may leave out the kind and
// then means a Deployment.
func scaleTargetOf(obj *unstructured.Unstructured) scaleTarget {
	ref, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "scaleTargetRef")
	apiVersion, kind := ref["apiVersion"], ref["kind"]
	if kind == "" {
		apiVersion, kind = "apps/v1", "Deployment"
	}
	if apiVersion == "" {
		apiVersion = "apps/v1"
	}
	return scaleTarget{
		kind: schema.FromAPIVersionAndKind(apiVersion, kind).GroupKind(),
		key:  types.NamespacedName{Namespace: obj.GetNamespace(), Name: ref["name"]},
	}
}
