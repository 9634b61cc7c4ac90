// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package holdings

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/lru"
)

const (
	// maxChain is how many objects a chain of controllers may have.
	maxChain = 6
	// remembered is how many objects' controllers are remembered, and for how
	// long: an object may be adopted.
	remembered    = 16384
	rememberedFor = 10 * time.Minute
)

// Walker finds out who made pods and what these want. All its reads are live
// and of metadata, or of the few kinds whose size counts.
type Walker struct {
	metadata metadata.Interface
	dynamic  dynamic.Interface
	mapper   meta.RESTMapper
	now      func() time.Time
	parents  *lru.Cache
}

// parent is what is remembered of an object: its controller.
type parent struct {
	owner *Owner
	until time.Time
}

// NewWalker returns a Walker.
func NewWalker(objects metadata.Interface, sizes dynamic.Interface, mapper meta.RESTMapper) *Walker {
	return &Walker{metadata: objects, dynamic: sizes, mapper: mapper, now: time.Now, parents: lru.New(remembered)}
}

// Walk returns the controller of a pod, the controller of that, and so on. On
// an error the chain is as far as it is known; the first is always in it.
func (w *Walker) Walk(ctx context.Context, controller *Owner) ([]Owner, error) {
	var chain []Owner
	for owner := controller; owner != nil && len(chain) < maxChain; {
		chain = append(chain, *owner)
		next, err := w.controllerOf(ctx, owner)
		if err != nil {
			return chain, fmt.Errorf("find the controller of %s %s/%s: %w", owner.Kind, owner.Namespace, owner.Name, err)
		}
		owner = next
	}
	return chain, nil
}

// SlotOwner is whose slots the pods of a chain take: their controller's, or
// that of the Deployment of their ReplicaSet, since a rollout keeps slots too.
func SlotOwner(chain []Owner) Owner {
	if len(chain) == 0 {
		return Owner{}
	}
	replicaSet, deployment := appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind(), appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind()
	if len(chain) > 1 && chain[0].GroupKind() == replicaSet && chain[1].GroupKind() == deployment {
		return chain[1]
	}
	return chain[0]
}

// controllerOf returns the controller of an object, nil if it has none or is
// not there.
func (w *Walker) controllerOf(ctx context.Context, owner *Owner) (*Owner, error) {
	// By all of it, since owners are what pods say: the UID of what is in another
	// namespace leads nowhere.
	if known, ok := w.parents.Get(*owner); ok {
		if p, ok := known.(parent); ok && w.now().Before(p.until) {
			return p.owner, nil
		}
	}
	resource, namespace, err := w.resource(owner)
	if err != nil {
		return nil, err
	}
	object, err := w.metadata.Resource(resource).Namespace(namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case notThere(err):
		return nil, nil
	case err != nil:
		return nil, err
	case object.UID != owner.UID:
		return nil, nil
	}
	next := OwnerOf(namespace, metav1.GetControllerOfNoCopy(object))
	w.parents.Add(*owner, parent{next, w.now().Add(rememberedFor)})
	return next, nil
}

// resource finds out how the API server calls objects like an owner, and the
// namespace of this one.
func (w *Walker) resource(owner *Owner) (schema.GroupVersionResource, string, error) {
	var versions []string
	if gv, err := schema.ParseGroupVersion(owner.APIVersion); err == nil && gv.Version != "" {
		versions = append(versions, gv.Version)
	}
	mapping, err := w.mapper.RESTMapping(owner.GroupKind(), versions...)
	if err != nil {
		return schema.GroupVersionResource{}, "", err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return mapping.Resource, "", nil
	}
	return mapping.Resource, owner.Namespace, nil
}

// Wish is what an owner of pods wants.
type Wish struct {
	// Exists: it is there and is not being deleted.
	Exists bool
	// UID that it has; empty if it does not exist.
	UID types.UID
	// Finished: it ran to its end and makes no more pods.
	Finished bool
	// Pods is how many it wants at a time; -1: that is not known.
	Pods int64
	// Completions is how many are to succeed in all, and Succeeded how many
	// have; -1: it has no end.
	Completions, Succeeded int64
}

// Most is how many pods it may have at a time, of which succeeded are known to
// have succeeded; -1: that is not known.
func (w Wish) Most(succeeded int64) int64 {
	switch {
	case !w.Exists || w.Finished:
		return 0
	case w.Completions >= 0:
		return max(0, min(w.Pods, w.Completions-max(succeeded, w.Succeeded)))
	}
	return w.Pods
}

// Wish asks an owner what it wants.
func (w *Walker) Wish(ctx context.Context, owner Owner) (Wish, error) {
	resource, namespace, err := w.resource(&owner)
	if err != nil {
		return Wish{}, fmt.Errorf("find out what %s %s/%s wants: %w", owner.Kind, owner.Namespace, owner.Name, err)
	}
	object, err := w.dynamic.Resource(resource).Namespace(namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case notThere(err):
		return Wish{}, nil
	case err != nil:
		return Wish{}, fmt.Errorf("find out what %s %s/%s wants: %w", owner.Kind, owner.Namespace, owner.Name, err)
	case owner.UID != "" && object.GetUID() != owner.UID, object.GetDeletionTimestamp() != nil:
		return Wish{}, nil
	}
	wanted := wish(object)
	wanted.UID = object.GetUID()
	return wanted, nil
}

// wish is what an object that exists wants.
func wish(object *unstructured.Unstructured) Wish {
	number := func(otherwise int64, path ...string) int64 {
		value, found, err := unstructured.NestedInt64(object.Object, path...)
		if err != nil || !found {
			return otherwise
		}
		return value
	}
	switch object.GroupVersionKind().GroupKind() {
	case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind(),
		appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind(),
		appsv1.SchemeGroupVersion.WithKind("StatefulSet").GroupKind():
		return Wish{Exists: true, Pods: number(1, "spec", "replicas"), Completions: -1}
	case batchv1.SchemeGroupVersion.WithKind("Job").GroupKind():
		suspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend")
		w := Wish{Exists: true, Finished: finished(object), Pods: number(1, "spec", "parallelism"), Completions: number(-1, "spec", "completions"), Succeeded: number(0, "status", "succeeded")}
		if suspended {
			w.Pods = 0
		}
		return w
	}
	return Wish{Exists: true, Pods: -1, Completions: -1}
}

// finished reports whether a Job has ended or is about to.
func finished(job *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(job.Object, "status", "conditions")
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["status"] != "True" {
			continue
		}
		switch condition["type"] {
		case string(batchv1.JobComplete), string(batchv1.JobFailed), string(batchv1.JobSuccessCriteriaMet), string(batchv1.JobFailureTarget):
			return true
		}
	}
	return false
}
