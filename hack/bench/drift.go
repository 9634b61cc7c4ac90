// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

const (
	drifts = 600
	// atOnce is how many drifts are under way at a time.
	atOnce = 4
)

// change is one way to drift: what somebody does by hand, and how to see that
// it was undone.
type change struct {
	resource schema.GroupVersionResource
	patch    string // empty: delete
	undone   func(*unstructured.Unstructured) bool
}

var changes = []change{
	{endpoints[2], `{"spec": {"replicas": 1}}`, func(o *unstructured.Unstructured) bool {
		replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		return replicas == 0
	}},
	{endpoints[2], `{"spec": {"template": {"spec": {"serviceAccountName": "other"}}}}`, func(o *unstructured.Unstructured) bool {
		name, _, _ := unstructured.NestedString(o.Object, "spec", "template", "spec", "serviceAccountName")
		return name == o.GetName()
	}},
	{endpoints[1], `{"spec": {"selector": {"app": "other"}}}`, func(o *unstructured.Unstructured) bool {
		app, _, _ := unstructured.NestedString(o.Object, "spec", "selector", "app")
		return app == o.GetName()
	}},
	{endpoints[3], `{"spec": {"rules": [{"host": "other.example"}]}}`, func(o *unstructured.Unstructured) bool {
		rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
		rule, _ := rules[0].(map[string]any)
		return rule["host"] == o.GetName()+".example"
	}},
	{endpoints[0], `{"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}}`, func(o *unstructured.Unstructured) bool {
		return o.GetLabels()["kustomize.toolkit.fluxcd.io/name"] == o.GetName()
	}},
	{endpoints[0], "", func(*unstructured.Unstructured) bool { return true }},
}

// measureDrift changes objects of mixed kinds by hand and measures from the
// answer to that change until a watch shows it undone.
func measureDrift(ctx context.Context, r *rig, out results) error {
	by, err := dynamic.NewForConfig(r.cluster.Config())
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	var mu sync.Mutex
	var took []time.Duration
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range drifts {
		group.Go(func() error {
			d, err := drift(groupCtx, by, changes[i%len(changes)], appName(i))
			mu.Lock()
			took = append(took, d)
			mu.Unlock()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	out["drift_p50_ms"], out["drift_p99_ms"] = float64(p50.Milliseconds()), float64(p99.Milliseconds())
	fmt.Printf("  %d drifts put back                 p50 %d ms, p99 %d ms\n", drifts, p50.Milliseconds(), p99.Milliseconds())
	return nil
}

func drift(ctx context.Context, by dynamic.Interface, c change, name string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	objects := by.Resource(c.resource).Namespace(namespace)
	before, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return 0, fmt.Errorf("read %s %s: %w", c.resource.Resource, name, err)
	}
	events, err := objects.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: before.GetResourceVersion()})
	if err != nil {
		return 0, fmt.Errorf("watch %s %s: %w", c.resource.Resource, name, err)
	}
	defer events.Stop()
	changed := before
	if c.patch == "" {
		err = objects.Delete(ctx, name, metav1.DeleteOptions{})
	} else {
		changed, err = objects.Patch(ctx, name, types.MergePatchType, []byte(c.patch), metav1.PatchOptions{FieldManager: "somebody"})
	}
	if err != nil {
		return 0, fmt.Errorf("change %s %s: %w", c.resource.Resource, name, err)
	}
	start := time.Now()
	seen := false
	for {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s %s was not put back: %w", c.resource.Resource, name, ctx.Err())
		case event := <-events.ResultChan():
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return 0, fmt.Errorf("watch %s %s: %v", c.resource.Resource, name, event.Object)
			}
			// What counts is what comes after the change itself.
			seen = seen || obj.GetResourceVersion() == changed.GetResourceVersion() || event.Type == "DELETED"
			if seen && event.Type != "DELETED" && c.undone(obj) {
				return time.Since(start), nil
			}
		}
	}
}
