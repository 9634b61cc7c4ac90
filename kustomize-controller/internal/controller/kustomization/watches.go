// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	weirreconcile "github.com/weir-gitops/weir/pkg/reconcile"
)

// newSource returns an empty object of a kind of source, or nil if there is no
// such kind.
func newSource(kind string) sourceObject {
	switch kind {
	case sourcev1.GitRepositoryKind:
		return &sourcev1.GitRepository{}
	case sourcev1.OCIRepositoryKind:
		return &sourcev1.OCIRepository{}
	case sourcev1.BucketKind:
		return &sourcev1.Bucket{}
	case sourcev1.ExternalArtifactKind:
		return &sourcev1.ExternalArtifact{}
	}
	return nil
}

// sourceObject is a source of any kind.
type sourceObject interface {
	client.Object
	sourcev1.Source
}

// watchSources has a new artifact of any source of the kind wake those that
// apply it.
func (c *Controller) watchSources(kind string) error {
	wake := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		return c.indexed(ctx, bySource, sourceKey(kind, client.ObjectKeyFromObject(obj)))
	})
	return c.watches.Begin(kind, newSource(kind), wake, predicate.Or(weirreconcile.NewArtifact(), weirreconcile.Restored()))
}

// watchConfigs has a change of a ConfigMap or Secret wake the Kustomizations
// that refer to it, if it carries the watch label, by which the cache selects.
// Only metadata is watched.
func (c *Controller) watchConfigs(_ context.Context, s *scope) error {
	if !c.Options.WatchConfigs {
		return nil
	}
	for _, ref := range configsOf(s.obj) {
		kind := ref.kind
		example := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
		wake := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, changed client.Object) []reconcile.Request {
			requests := c.indexed(ctx, byConfig, config{kind, changed.GetNamespace(), changed.GetName()}.String())
			for _, request := range requests {
				c.reread(request.NamespacedName)
			}
			return requests
		})
		if err := c.watches.Begin(kind, example, wake, newConfig); err != nil {
			return weirreconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
		}
	}
	return nil
}

// newConfig passes what has changed, and all of the first list: the watch
// begins beside the first read, and what changes between the two is in the list.
var newConfig = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion()
	},
}

// config names a ConfigMap or Secret that a spec refers to.
type config struct{ kind, namespace, name string }

func (r config) String() string { return r.kind + "/" + r.namespace + "/" + r.name }

// configsOf lists the ConfigMaps and Secrets that a spec refers to.
func configsOf(obj *kustomizev1.Kustomization) []config {
	var refs []config
	add := func(kind, name string) { refs = append(refs, config{kind, obj.Namespace, name}) }
	if postBuild := obj.Spec.PostBuild; postBuild != nil {
		for _, from := range postBuild.SubstituteFrom {
			add(from.Kind, from.Name)
		}
	}
	if d := obj.Spec.Decryption; d != nil && d.SecretRef != nil {
		add("Secret", d.SecretRef.Name)
	}
	if k := obj.Spec.KubeConfig; k != nil {
		if k.SecretRef != nil {
			add("Secret", k.SecretRef.Name)
		}
		if k.ConfigMapRef != nil {
			add("ConfigMap", k.ConfigMapRef.Name)
		}
	}
	return refs
}

func configKeys(obj client.Object) []string {
	k, ok := obj.(*kustomizev1.Kustomization)
	if !ok {
		return nil
	}
	var keys []string
	for _, ref := range configsOf(k) {
		keys = append(keys, ref.String())
	}
	return keys
}

// reread has the next reconcile read again what the spec refers to, without
// waiting for the interval.
func (c *Controller) reread(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = map[types.NamespacedName]struct{}{}
	}
	c.changed[name] = struct{}{}
}

// takeChanged reports whether something that the spec refers to has changed
// since it was last asked.
func (c *Controller) takeChanged(name types.NamespacedName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, changed := c.changed[name]
	delete(c.changed, name)
	return changed
}
