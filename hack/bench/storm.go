// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/hack/storm"
)

// measureStorm has 10,000 pods created over 50 trees by 50 clients while three
// replicas are killed now and then.
func measureStorm(ctx context.Context, out results) error {
	return onGPUs(ctx, func(r *gpuRig) error {
		if err := r.start(ctx, 3, platform.HasteInElection()...); err != nil {
			return err
		}
		report, err := storm.Run(ctx, r.api, r.quotas, r.replicas, storm.Plan{
			Roots: 50, Creates: 10_000, Workers: 50, KillEvery: 3 * time.Second, Settling: 3 * time.Minute, Seed: 1,
		})
		if err != nil {
			return err
		}
		size, err := r.etcdSize(ctx)
		if err != nil {
			return err
		}
		out["gpu_storm_overadmissions"] = float64(len(report.Breaches))
		out["gpu_storm_reservations_left"] = float64(report.Left)
		out["gpu_storm_ledger_bytes"] = float64(report.LargestLedger)
		out["gpu_storm_writes_per_second"] = report.BusiestLedger
		fmt.Printf("  storm: %d admitted, %d denied, %d busy, %d failed, %d deleted in %.1f s, with %d kills\n",
			report.Admitted, report.Denied, report.Busy, report.Failed, report.Deleted, report.Took.Seconds(), report.Kills)
		fmt.Printf("    %d over-admissions in %d changes of pods; %d reservations left, %.1f s after the last create\n",
			len(report.Breaches), report.Events, report.Left, report.Settled.Seconds())
		fmt.Printf("    ledgers: at most %d bytes and %.1f writes a second; etcd holds %.1f MiB\n",
			report.LargestLedger, report.BusiestLedger, size)
		return nil
	})
}

// etcdSize is what the API server says of its storage, in MiB.
func (r *gpuRig) etcdSize(ctx context.Context) (float64, error) {
	data, err := r.api.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	for _, series := range families["apiserver_storage_size_bytes"].GetMetric() {
		return series.GetGauge().GetValue() / (1 << 20), nil
	}
	return 0, errors.New("the API server does not tell the size of its storage")
}
