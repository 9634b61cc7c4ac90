// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// measureRestart ends the controller, starts it anew, and measures until it has
// checked n unchanged Kustomizations, and how many managed objects it wrote.
func measureRestart(ctx context.Context, r *rig, c *controller, n int, out results) error {
	objects, err := dynamic.NewForConfig(r.cluster.Config())
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	c.stop()
	before, err := versions(ctx, objects)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := c.start(ctx); err != nil {
		return err
	}
	if err := c.awaitChecked(ctx, n); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := versions(ctx, objects)
	if err != nil {
		return err
	}
	writes := 0
	for id, version := range after {
		if before[id] != version {
			writes++
		}
	}
	requests, cpu, err := c.spent()
	if err != nil {
		return err
	}
	out["restart_1000_seconds"], out["restart_1000_writes"] = took.Seconds(), float64(writes)
	out["restart_1000_requests"], out["restart_1000_cpu_seconds"] = requests, cpu
	fmt.Printf("  restart with %d unchanged: %.1f s, %d writes of managed objects, %.0f requests, %.1f s of CPU\n", n, took.Seconds(), writes, requests, cpu)
	return nil
}

// versions are the resourceVersions of all objects of the workload.
func versions(ctx context.Context, c dynamic.Interface) (map[string]string, error) {
	found := map[string]string{}
	for _, endpoint := range endpoints {
		list, err := c.Resource(endpoint).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", endpoint.Resource, err)
		}
		for i := range list.Items {
			found[endpoint.Resource+"/"+list.Items[i].GetName()] = list.Items[i].GetResourceVersion()
		}
	}
	return found, nil
}

// awaitChecked returns when n Kustomizations were reconciled since the start
// and nothing more is under way.
func (c *controller) awaitChecked(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(scrape)
	defer tick.Stop()
	for {
		checked, err := c.series("gotk_reconcile_duration_seconds", func(labels map[string]string) bool { return labels["kind"] == "Kustomization" })
		if err != nil {
			return err
		}
		busy, err := c.sum("controller_runtime_active_workers", nil)
		if err != nil {
			return err
		}
		waiting, err := c.sum("workqueue_depth", nil)
		if err != nil {
			return err
		}
		if len(checked) >= n && busy+waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d Kustomizations were checked: %w", len(checked), n, ctx.Err())
		case <-tick.C:
		}
	}
}
