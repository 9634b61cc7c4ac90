// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// measureKustomizations measures kustomize-controller: from nothing to ready
// for 100 and 1,000 Kustomizations, the cost of an interval, how soon drift is
// put back, and what a restart costs.
func measureKustomizations(ctx context.Context, out results) error {
	if err := measureBare(ctx, shared(1000), "ks_1000", out); err != nil {
		return err
	}
	err := onController(ctx, func(r *rig, c *controller) error {
		if err := measureReady(ctx, r, c, shared(100), "ks_100", out); err != nil {
			return err
		}
		return measureUnchanged(ctx, r, c, out)
	})
	if err != nil {
		return err
	}
	return onController(ctx, func(r *rig, c *controller) error {
		if err := measureReady(ctx, r, c, shared(1000), "ks_1000", out); err != nil {
			return err
		}
		if err := measureDrift(ctx, r, out); err != nil {
			return err
		}
		return measureRestart(ctx, r, c, 1000, out)
	})
}

// measureDistinct measures 1,000 Kustomizations of which each has an artifact
// of its own, beside the same bare client: what it applies is the same.
func measureDistinct(ctx context.Context, out results) error {
	if err := measureBare(ctx, shared(1000), "ks_1000", out); err != nil {
		return err
	}
	err := onController(ctx, func(r *rig, c *controller) error {
		return measureReady(ctx, r, c, distinct(1000), "ks_1000_distinct", out)
	})
	out.ratio("ks_1000_distinct", "ks_1000")
	return err
}

// measureLarge measures one Kustomization of 2,000 objects. It may have as many
// requests under way as the bare client has.
func measureLarge(ctx context.Context, out results) error {
	if err := measureBare(ctx, large(2000/objectsPerApp), "ks_2000_objects", out); err != nil {
		return err
	}
	return onController(ctx, func(r *rig, c *controller) error {
		return measureReady(ctx, r, c, large(2000/objectsPerApp), "ks_2000_objects", out)
	}, fmt.Sprintf("--concurrent-ssa=%d", workers))
}

// measureBare measures the bare client, once in a run for each key.
func measureBare(ctx context.Context, w workload, key string, out results) error {
	if _, done := out[key+"_bare_seconds"]; done {
		return nil
	}
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := newBare(r, w)
	if err != nil {
		return err
	}
	took, err := r.untilReady(ctx, w, b.reconcile)
	if err != nil {
		return fmt.Errorf("bare client: %w", err)
	}
	out[key+"_bare_seconds"] = took.Seconds()
	fmt.Printf("  %-18s bare client %8.1f s\n", key, took.Seconds())
	return nil
}

// onController measures kustomize-controller on a fresh cluster.
func onController(ctx context.Context, measure func(*rig, *controller) error, flags ...string) error {
	return on(ctx, kustomizeController, measure, flags...)
}

// on measures a controller on a fresh cluster.
func on(ctx context.Context, name string, measure func(*rig, *controller) error, flags ...string) error {
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	c, err := startController(ctx, r, name, flags...)
	if err != nil {
		return err
	}
	return measure(r, c)
}

// measureReady measures from the first create to the last subject ready,
// and what the controller needed for it.
func measureReady(ctx context.Context, r *rig, c *controller, w workload, key string, out results) error {
	took, err := r.untilReady(ctx, w, func(context.Context, string) error { return nil })
	if err != nil {
		return err
	}
	cpu, err := c.cpuSeconds()
	if err != nil {
		return err
	}
	memory, err := c.peakMemory()
	if err != nil {
		return err
	}
	out[key+"_seconds"], out[key+"_cpu_seconds"], out[key+"_rss_mb"] = took.Seconds(), cpu, memory
	fmt.Printf("  %-18s controller  %8.1f s, %.1f s of CPU, %.0f MiB\n", key, took.Seconds(), cpu, memory)
	out.ratio(key, key)
	return nil
}

// ratio divides the seconds of a key by those that the bare client needed for
// another, if they were measured.
func (out results) ratio(key, bare string) {
	ours, bareTook := out[key+"_seconds"], out[bare+"_bare_seconds"]
	if ours > 0 && bareTook > 0 {
		out[key+"_ratio"] = ours / bareTook
		fmt.Printf("  %-18s ratio       %8.2f\n", key, ours/bareTook)
	}
}

// measureUnchanged measures the cost of an interval that finds nothing new.
func measureUnchanged(ctx context.Context, r *rig, c *controller, out results) error {
	requests, cpu, err := costOfInterval(ctx, r, c, shared(100))
	if err != nil {
		return err
	}
	out["ks_unchanged_requests"], out["ks_unchanged_cpu_ms"] = requests, cpu
	fmt.Printf("  unchanged interval: %.2f requests and %.2f ms of CPU for each Kustomization\n", requests, cpu)
	return nil
}

// scrape is how often the metrics are read. Reading them costs the controller
// time that would be counted as its own.
const scrape = 500 * time.Millisecond

// interval is short enough to see several in a measurement.
const interval = 5 * time.Second

// costOfInterval shortens the interval of unchanged subjects and
// returns the requests and the milliseconds of CPU of one reconcile.
func costOfInterval(ctx context.Context, r *rig, c *controller, w workload) (requests, cpu float64, err error) {
	for _, s := range w.subjects {
		obj, _ := s.DeepCopyObject().(client.Object)
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec": {"interval": %q}}`, interval))
		if err := r.client.Patch(ctx, obj, patch); err != nil {
			return 0, 0, fmt.Errorf("shorten the interval of %s: %w", obj.GetName(), err)
		}
	}
	n := len(w.subjects)
	if err := c.awaitReconciles(ctx, 2*n); err != nil { // the new spec itself is written
		return 0, 0, err
	}
	requestsBefore, cpuBefore, err := c.spent()
	if err != nil {
		return 0, 0, err
	}
	intervals := 5 * n
	if err := c.awaitReconciles(ctx, intervals); err != nil {
		return 0, 0, err
	}
	requestsAfter, cpuAfter, err := c.spent()
	return (requestsAfter - requestsBefore) / float64(intervals), 1000 * (cpuAfter - cpuBefore) / float64(intervals), err
}

// spent is how many requests and seconds of CPU the controller has used.
func (c *controller) spent() (requests, cpu float64, err error) {
	if requests, err = c.requests(); err != nil {
		return 0, 0, err
	}
	cpu, err = c.cpuSeconds()
	return requests, cpu, err
}

// requests are what the controller has sent so far, watches and the lease of
// its leadership excepted.
func (c *controller) requests() (float64, error) { return c.sum("rest_client_requests_total", nil) }

// reconcilers are the names of the controllers in their metrics, by program.
var reconcilers = map[string]string{kustomizeController: "kustomization", helmController: "helmrelease"}

// awaitReconciles waits for that many more reconciles.
func (c *controller) awaitReconciles(ctx context.Context, more int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const metric = "controller_runtime_reconcile_total"
	subjects := func(labels map[string]string) bool {
		return strings.EqualFold(labels["controller"], reconcilers[c.name])
	}
	start, err := c.sum(metric, subjects)
	if err != nil {
		return err
	}
	tick := time.NewTicker(scrape)
	defer tick.Stop()
	for {
		now, err := c.sum(metric, subjects)
		if err != nil {
			return err
		}
		if now >= start+float64(more) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %d reconciles: %w", more, ctx.Err())
		case <-tick.C:
		}
	}
}
