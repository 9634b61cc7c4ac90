// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	// rounds of each measurement, in turns with those that it is compared
	// with, so that a slow moment of the machine hits all of them.
	rounds = 3
	// roots that the creates are spread over.
	roots = 50
	// plenty is a limit that no measurement reaches.
	plenty = 1_000_000
	// admissionMetric is how long the webhook took for an answer.
	admissionMetric = "gpuquota_admission_duration_seconds"
)

// The ways in which pods are admitted.
const (
	unlimited     = "none"
	resourceQuota = "resourcequota"
	gpuQuota      = "weir"
)

// measureAdmission measures what a GPUQuota costs the creation of a pod, beside
// the built-in ResourceQuota and no quota at all.
func measureAdmission(ctx context.Context, out results) error {
	for _, suffix := range []string{"", "_fsync"} {
		var opts []testkit.ClusterOption
		if suffix != "" {
			opts = append(opts, testkit.WithFsync())
		}
		err := onGPUs(ctx, func(r *gpuRig) error {
			fmt.Printf("  admission%s\n", suffix)
			if err := r.prepareAdmission(ctx); err != nil {
				return err
			}
			for _, clients := range []int{50, 500} {
				if err := measureLatency(ctx, r, clients, suffix, out); err != nil {
					return err
				}
			}
			if err := measureThroughput(ctx, r, 1, "throughput", suffix, out); err != nil {
				return err
			}
			return measureThroughput(ctx, r, 0, "cpu_throughput", suffix, out)
		}, opts...)
		if err != nil {
			return err
		}
	}
	return nil
}

// prepareAdmission makes namespaces of each way, and starts two replicas.
func (r *gpuRig) prepareAdmission(ctx context.Context) error {
	err := inParallel(ctx, spread(unlimited, roots), func(ctx context.Context, name string) error {
		return r.namespace(ctx, name, "")
	})
	if err != nil {
		return err
	}
	if err := inParallel(ctx, spread(resourceQuota, roots), r.limited); err != nil {
		return err
	}
	err = inParallel(ctx, spread(gpuQuota, roots), func(ctx context.Context, name string) error {
		if err := r.namespace(ctx, name, name); err != nil {
			return err
		}
		return r.quota(ctx, name, "", plenty)
	})
	if err != nil {
		return err
	}
	if err := r.start(ctx, 2); err != nil {
		return err
	}
	return r.enforced(ctx)
}

// limited makes a namespace with a ResourceQuota that is in effect.
func (r *gpuRig) limited(ctx context.Context, name string) error {
	if err := r.namespace(ctx, name, ""); err != nil {
		return err
	}
	quotas := r.api.CoreV1().ResourceQuotas(name)
	_, err := quotas.Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "gpus"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"requests." + gpuResource: *resource.NewQuantity(plenty, resource.DecimalSI)}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return platform.Await(ctx, func(ctx context.Context) error {
		quota, err := quotas.Get(ctx, "gpus", metav1.GetOptions{})
		if err == nil && len(quota.Status.Hard) == 0 {
			err = fmt.Errorf("the ResourceQuota of %s is not in effect", name)
		}
		return err
	})
}

// order is that of a round: each way comes first once.
func order(round int) []string {
	ways := []string{unlimited, resourceQuota, gpuQuota}
	return append(slices.Clone(ways[round%len(ways):]), ways[:round%len(ways)]...)
}

// measureLatency measures creates that are spread over the roots: how long the
// whole request takes, and how long of it the webhook.
func measureLatency(ctx context.Context, r *gpuRig, clients int, suffix string, out results) error {
	before, err := r.observed(admissionMetric, nil)
	if err != nil {
		return err
	}
	writtenBefore, conflictsBefore, err := r.writes()
	if err != nil {
		return err
	}
	all := map[string]*latencies{unlimited: {}, resourceQuota: {}, gpuQuota: {}}
	for i := range rounds {
		for _, way := range order(i) {
			round, err := r.create(ctx, spread(way, roots), max(500, 2*clients), clients, 1)
			if err != nil {
				return fmt.Errorf("create pods in %s: %w", way, err)
			}
			all[way].merge(round)
		}
	}
	after, err := r.observed(admissionMetric, nil)
	if err != nil {
		return err
	}
	written, conflicts, err := r.writes()
	if err != nil {
		return err
	}
	pods := float64(len(all[gpuQuota].each))
	out[fmt.Sprintf("gpu_ledger_writes_per_pod_%d%s", clients, suffix)] = (written - writtenBefore) / pods
	webhook := after.since(before)
	out[fmt.Sprintf("gpu_admission_p99_ms_%d%s", clients, suffix)] = 1000 * webhook.quantile(0.99)
	fmt.Printf("    %3d clients: webhook p50 %.1f ms, p99 %.1f ms", clients, 1000*webhook.quantile(0.5), 1000*webhook.quantile(0.99))
	for _, way := range slices.Sorted(maps.Keys(all)) {
		out[fmt.Sprintf("gpu_create_p99_ms_%d_%s%s", clients, way, suffix)] = all[way].quantile(0.99)
		fmt.Printf("; create with %s p50 %.1f, p99 %.1f ms", way, all[way].quantile(0.5), all[way].quantile(0.99))
	}
	fmt.Printf("; %.2f writes of ledgers and %.2f conflicts for each pod\n", (written-writtenBefore)/pods, (conflicts-conflictsBefore)/pods)
	return nil
}

// saturating is how many clients it takes for the throughput of one root not to
// depend on how long each of them waits: its ledger is written 16 times a second,
// each time for all who wait.
const saturating = 200

// measureThroughput measures as many clients as one root can serve, and pods
// without GPUs in the same namespaces.
func measureThroughput(ctx context.Context, r *gpuRig, gpus int64, key, suffix string, out results) error {
	all := map[string]*latencies{unlimited: {}, resourceQuota: {}, gpuQuota: {}}
	for i := range rounds {
		for _, way := range order(i) {
			round, err := r.create(ctx, spread(way, 1), 5*saturating, saturating, gpus)
			if err != nil {
				return fmt.Errorf("create pods in %s: %w", way, err)
			}
			all[way].merge(round)
		}
	}
	ratio := all[gpuQuota].perSecond() / all[unlimited].perSecond()
	out["gpu_"+key+"_ratio"+suffix] = ratio
	fmt.Printf("    one root, %d GPUs a pod: %.2f of no quota", gpus, ratio)
	for _, way := range slices.Sorted(maps.Keys(all)) {
		out["gpu_"+key+"_per_second_"+way+suffix] = all[way].perSecond()
		fmt.Printf("; %s %.0f/s, p99 %.1f ms", way, all[way].perSecond(), all[way].quantile(0.99))
	}
	fmt.Println()
	return nil
}
