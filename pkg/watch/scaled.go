// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
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

// askAgain is how soon the cluster is asked again that gave no answer.
const askAgain = 2 * time.Second

// scaled knows the objects whose replicas an autoscaler sets.
type scaled struct {
	mu     sync.RWMutex
	counts map[scaleTarget]int
	stores []*store[scaleTarget]
}

// scaleTarget is the object that an autoscaler points to.
type scaleTarget struct {
	kind schema.GroupKind
	key  types.NamespacedName
}

func newScaled(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger) *scaled {
	s := &scaled{counts: map[scaleTarget]int{}}
	for _, gvk := range autoscalers {
		into := newStore(scaleTargetOf, s.changed)
		s.stores = append(s.stores, into)
		go s.follow(ctx, gvk, into, client, mapper, log)
	}
	return s
}

// wait returns when the autoscalers that the cluster has are known, or may not
// be: before that, their replicas would be taken for somebody's mistake.
func (s *scaled) wait(ctx context.Context) error {
	for i, known := range s.stores {
		select {
		case <-known.filled:
		case <-ctx.Done():
			return fmt.Errorf("list %s: %w", autoscalers[i].GroupKind(), context.Cause(ctx))
		}
	}
	return nil
}

// follow waits until the cluster has the kind, then watches it until ctx ends.
func (s *scaled) follow(ctx context.Context, gvk schema.GroupVersionKind, into *store[scaleTarget], client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger) {
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	for err != nil {
		pause := askAgain
		if meta.IsNoMatchError(err) {
			into.settle()
			pause = lookForAutoscalers
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		mapping, err = mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	name := gvk.GroupKind().String()
	observe := func(err error) {
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) {
			into.settle()
		}
	}
	follow(ctx, name, client.Resource(mapping.Resource), metav1.ListOptions{}, into, observe, log.WithValues("watched", name))
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
