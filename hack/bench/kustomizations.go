// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// measureKustomizations measures kustomize-controller: from nothing to ready
// for 100 and 1,000 Kustomizations, the cost of an interval, and how soon
// drift is put back.
func measureKustomizations(ctx context.Context, out results) error {
	bareTook, err := onFreshCluster(ctx, func(r *rig) (time.Duration, error) {
		b, err := newBare(r)
		if err != nil {
			return 0, err
		}
		return r.untilReady(ctx, 1000, b.reconcile)
	})
	if err != nil {
		return fmt.Errorf("bare client: %w", err)
	}
	out["ks_1000_bare_seconds"] = bareTook.Seconds()
	fmt.Printf("  bare client, 1,000 Kustomizations   %6.1f s\n", bareTook.Seconds())

	if _, err := onFreshCluster(ctx, func(r *rig) (time.Duration, error) { return measureHundred(ctx, r, out) }); err != nil {
		return err
	}
	_, err = onFreshCluster(ctx, func(r *rig) (time.Duration, error) { return measureThousand(ctx, r, bareTook, out) })
	return err
}

func onFreshCluster(ctx context.Context, measure func(*rig) (time.Duration, error)) (time.Duration, error) {
	r, err := newRig(ctx)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return measure(r)
}

func nothing(context.Context, string) error { return nil }

func measureHundred(ctx context.Context, r *rig, out results) (time.Duration, error) {
	c, err := startController(ctx, r)
	if err != nil {
		return 0, err
	}
	took, err := r.untilReady(ctx, 100, nothing)
	if err != nil {
		return 0, err
	}
	out["ks_100_seconds"] = took.Seconds()
	fmt.Printf("  100 Kustomizations                  %6.1f s\n", took.Seconds())
	per, err := requestsPerInterval(ctx, r, c, 100)
	if err != nil {
		return 0, err
	}
	out["ks_unchanged_requests"] = per
	fmt.Printf("  requests per unchanged interval     %6.2f\n", per)
	return took, nil
}

func measureThousand(ctx context.Context, r *rig, bareTook time.Duration, out results) (time.Duration, error) {
	c, err := startController(ctx, r)
	if err != nil {
		return 0, err
	}
	took, err := r.untilReady(ctx, 1000, nothing)
	if err != nil {
		return 0, err
	}
	cpu, err := c.cpuSeconds()
	if err != nil {
		return 0, err
	}
	rss, err := c.peakMemory()
	if err != nil {
		return 0, err
	}
	out["ks_1000_seconds"], out["ks_1000_ratio"] = took.Seconds(), took.Seconds()/bareTook.Seconds()
	out["ks_1000_cpu_seconds"], out["ks_1000_rss_mb"] = cpu, rss
	fmt.Printf("  1,000 Kustomizations                %6.1f s, %.2f of the bare client, %.1f s CPU, %.0f MiB\n",
		took.Seconds(), took.Seconds()/bareTook.Seconds(), cpu, rss)
	return took, measureDrift(ctx, r, out)
}

// interval is short enough to see several in a measurement.
const interval = 5 * time.Second

// requestsPerInterval shortens the interval of n unchanged Kustomizations and
// counts what the controller sends per reconcile.
func requestsPerInterval(ctx context.Context, r *rig, c *controller, n int) (float64, error) {
	for i := range n {
		k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: appName(i)}}
		patch := client.RawPatch("application/merge-patch+json", []byte(fmt.Sprintf(`{"spec": {"interval": %q}}`, interval)))
		if err := r.client.Patch(ctx, k, patch); err != nil {
			return 0, fmt.Errorf("shorten the interval of %s: %w", k.Name, err)
		}
	}
	if err := c.awaitReconciles(ctx, 2*n); err != nil { // the new spec itself is written
		return 0, err
	}
	requests, err := c.requests()
	if err != nil {
		return 0, err
	}
	intervals := 5 * n
	if err := c.awaitReconciles(ctx, intervals); err != nil {
		return 0, err
	}
	after, err := c.requests()
	return (after - requests) / float64(intervals), err
}

// requests are what the controller has sent so far, watches and the lease of
// its leadership excepted.
func (c *controller) requests() (float64, error) { return c.sum("rest_client_requests_total", nil) }

// awaitReconciles waits for that many more reconciles.
func (c *controller) awaitReconciles(ctx context.Context, more int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const metric = "controller_runtime_reconcile_total"
	kustomizations := func(labels map[string]string) bool { return strings.EqualFold(labels["controller"], "kustomization") }
	start, err := c.sum(metric, kustomizations)
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := c.sum(metric, kustomizations)
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
