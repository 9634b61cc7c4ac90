// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"slices"
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
	mu sync.RWMutex
	// minima has for each target how many autoscalers ask for which least
	// number of replicas.
	minima map[scaleTarget]map[int64]int
	stores []*store[scaling]
}

// scaleTarget is the object that an autoscaler points to.
type scaleTarget struct {
	kind schema.GroupKind
	key  types.NamespacedName
}

// scaling is what is known of an autoscaler.
type scaling struct {
	scaleTarget
	// least is how many replicas the target has at all times.
	least int64
}

func newScaled(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger) *scaled {
	s := &scaled{minima: map[scaleTarget]map[int64]int{}}
	for _, gvk := range autoscalers {
		into := newStore(scalingOf, s.changed)
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
func (s *scaled) follow(ctx context.Context, gvk schema.GroupVersionKind, into *store[scaling], client dynamic.Interface, mapper meta.RESTMapper, log logr.Logger) {
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

func (s *scaled) changed(before, after *scaling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before != nil {
		least := s.minima[before.scaleTarget]
		if least[before.least]--; least[before.least] == 0 {
			delete(least, before.least)
		}
		if len(least) == 0 {
			delete(s.minima, before.scaleTarget)
		}
	}
	if after != nil {
		least := s.minima[after.scaleTarget]
		if least == nil {
			least = map[int64]int{}
			s.minima[after.scaleTarget] = least
		}
		least[after.least]++
	}
}

func (s *scaled) targets(gk schema.GroupKind, key types.NamespacedName) bool {
	_, ok := s.least(gk, key)
	return ok
}

// least returns how many replicas the autoscalers of a target keep at the
// least, and whether it has any.
func (s *scaled) least(gk schema.GroupKind, key types.NamespacedName) (least int64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n := range s.minima[scaleTarget{gk, key}] {
		least, ok = max(least, n), true
	}
	return least, ok
}

// Scaling reads what an autoscaler asks for: the object that it scales, and how
// many replicas that has at the least. It reports false for any other kind.
func Scaling(obj *unstructured.Unstructured) (gk schema.GroupKind, key types.NamespacedName, least int64, ok bool) {
	own := obj.GroupVersionKind().GroupKind()
	if !slices.ContainsFunc(autoscalers, func(gvk schema.GroupVersionKind) bool { return gvk.GroupKind() == own }) {
		return gk, key, 0, false
	}
	s := scalingOf(obj)
	return s.kind, s.key, s.least, true
}

// scalingOf reads an autoscaler. Without a number of its own, an
// HorizontalPodAutoscaler keeps one replica and a ScaledObject none.
func scalingOf(obj *unstructured.Unstructured) scaling {
	field, least := "minReplicas", int64(1)
	if obj.GroupVersionKind().Group == "keda.sh" {
		field, least = "minReplicaCount", 0
	}
	if n, found, err := unstructured.NestedInt64(obj.Object, "spec", field); found && err == nil {
		least = max(n, 0)
	}
	return scaling{scaleTargetOf(obj), least}
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
