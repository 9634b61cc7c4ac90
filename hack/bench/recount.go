// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/hack/platform"
)

// What is counted: 100 trees of ten quotas each, and pods in the leaves.
const (
	recountRoots  = 100
	recountLeaves = 9
	recountPods   = 50_000
)

// measureRecount measures how long a controller that has just started needs to
// count 50,000 pods under 1,000 quotas, and how much memory.
func measureRecount(ctx context.Context, out results) error {
	return onGPUs(ctx, func(r *gpuRig) error {
		var leaves []string
		for root := range recountRoots {
			for leaf := range recountLeaves {
				leaves = append(leaves, fmt.Sprintf("count-%02d-%d", root, leaf))
			}
		}
		err := inParallel(ctx, leaves, func(ctx context.Context, name string) error { return r.namespace(ctx, name, name) })
		if err != nil {
			return err
		}
		if _, err := r.create(ctx, leaves, recountPods, workers, 1); err != nil {
			return err
		}
		if err := inParallel(ctx, spread("count", recountRoots), func(ctx context.Context, root string) error {
			return r.quota(ctx, root, "", plenty)
		}); err != nil {
			return err
		}
		if err := inParallel(ctx, leaves, func(ctx context.Context, leaf string) error {
			return r.quota(ctx, leaf, leaf[:len(leaf)-2], plenty)
		}); err != nil {
			return err
		}
		begun := time.Now()
		if err := r.start(ctx, 1); err != nil {
			return err
		}
		if err := r.counted(ctx, recountPods); err != nil {
			return err
		}
		took := time.Since(begun)
		memory, err := platform.PeakMemory(r.replicas[0].PID())
		if err != nil {
			return err
		}
		out["gpu_recount_50000_seconds"], out["gpu_recount_rss_mb"] = took.Seconds(), memory
		fmt.Printf("  recount of %d pods under %d quotas: %.1f s from the start of the process, %.0f MiB\n",
			recountPods, recountRoots*(recountLeaves+1), took.Seconds(), memory)
		return nil
	})
}

// counted waits until the ledgers together have counted a number of GPUs.
func (r *gpuRig) counted(ctx context.Context, gpus int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return platform.Await(ctx, func(ctx context.Context) error {
		list, err := r.api.CoreV1().ConfigMaps(platform.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "quota.weir.dev/ledger"})
		if err != nil {
			return err
		}
		sum := 0
		for i := range list.Items {
			var record struct {
				Quotas map[string]struct {
					Used map[string]string `json:"used"`
				} `json:"quotas"`
			}
			if err := json.Unmarshal([]byte(list.Items[i].Data["record"]), &record); err != nil {
				return err
			}
			for _, quota := range record.Quotas {
				n := 0
				if _, err := fmt.Sscan(quota.Used["gpu"], &n); err == nil {
					sum += n
				}
			}
		}
		if sum != gpus {
			return fmt.Errorf("the ledgers have counted %d of %d GPUs", sum, gpus)
		}
		return nil
	})
}
