// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// A tally of a tree with 50,000 pods of 40 shapes on 6,000 nodes.
func BenchmarkTally(b *testing.B) {
	forest := tree.New(nil, []quotav1.GPUQuota{quota("q", func(q *quotav1.GPUQuota) {
		q.Spec.Devices = []quotav1.Device{{Name: "h100", Match: quotav1.DeviceMatch{ResourceNames: []string{"nvidia.com/gpu"}, NodeLabels: map[string]string{"product": "H100"}}}}
	})})
	nodes := map[string]map[string]string{}
	for i := range 6000 {
		name := fmt.Sprint("node-", i)
		nodes[name] = map[string]string{"kubernetes.io/hostname": name, "product": "H100"}
	}
	var shapes []*gpu.Shape
	for i := range 40 {
		shapes = append(shapes, &gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(int64(i + 1))}})
	}
	var pods []*holdings.Pod
	for i := range 50000 {
		pods = append(pods, &holdings.Pod{UID: types.UID(fmt.Sprint(i)), Namespace: fmt.Sprint("ns-", i%1000), Shape: shapes[i%40], Node: fmt.Sprint("node-", i%6000)})
	}
	for b.Loop() {
		newCharger(forest.Quota("q"), func(name string) map[string]string { return nodes[name] }).tally(pods, func(string) string { return "q" })
	}
}
