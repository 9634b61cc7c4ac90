// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"

	"github.com/weir-gitops/weir/api/meta"
)

// Each event of each watched object passes here.
func BenchmarkOf(b *testing.B) {
	cluster := map[string]any{"status": map[string]any{
		"desiredWorkerReplicas": 2, "readyWorkerReplicas": 2,
		"conditions": []any{map[string]any{"type": "HeadPodReady", "status": "True"}, map[string]any{"type": "RayClusterProvisioned", "status": "True"}},
	}}
	obj := object(b, "ray.io/v1/RayCluster", cluster)
	deployment := object(b, "apps/v1/Deployment", map[string]any{"metadata": map[string]any{"generation": 1}, "status": map[string]any{"observedGeneration": 1}})
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			Of(obj)
		}
	})
	b.Run("kstatus", func(b *testing.B) {
		for b.Loop() {
			Of(deployment)
		}
	})
	b.Run("expression", func(b *testing.B) {
		checks, err := Compile("checks", []meta.CustomHealthCheck{{
			APIVersion: "ray.io/v1", Kind: "RayCluster", Current: "status.conditions.exists(c, c.type == 'HeadPodReady' && c.status == 'True')",
		}})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			checks.Of(obj)
		}
	})
}
