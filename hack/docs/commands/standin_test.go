// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package commands

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

var kinds = []schema.GroupVersionResource{
	{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Resource: "kustomizations"},
	{Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "gitrepositories"},
	{Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "ocirepositories"},
	{Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "helmrepositories"},
	{Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "helmcharts"},
	{Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"},
	{Group: "image.toolkit.fluxcd.io", Version: "v1", Resource: "imageupdateautomations"},
}

// standIn reports every object of Weir's kinds as ready, and every request to
// reconcile as handled, until ctx ends. What it cannot read or write it tries
// again: the definitions come and go.
func standIn(ctx context.Context, config *rest.Config) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return // The commands that wait for it then say so.
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, kind := range kinds {
			list, err := client.Resource(kind).List(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for i := range list.Items {
				report(ctx, client.Resource(kind), &list.Items[i])
			}
		}
	}
}

// report writes the status of one object if it is not up to date.
func report(ctx context.Context, resource dynamic.NamespaceableResourceInterface, object *unstructured.Unstructured) {
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	handled, _, _ := unstructured.NestedString(object.Object, "status", "lastHandledReconcileAt")
	requested := object.GetAnnotations()["reconcile.fluxcd.io/requestedAt"]
	if observed == object.GetGeneration() && handled == requested {
		return
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration":     object.GetGeneration(),
		"lastHandledReconcileAt": requested,
		"conditions": []metav1.Condition{{
			Type: "Ready", Status: metav1.ConditionTrue, Reason: "Test",
			ObservedGeneration: object.GetGeneration(), LastTransitionTime: metav1.Now(),
		}},
	}})
	if err != nil {
		return
	}
	_, _ = resource.Namespace(object.GetNamespace()).Patch(ctx, object.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}, "status")
}
