// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// object is a Kubernetes object, or a part of one, as JSON.
type object = map[string]any

// Facts of a simulated node.
const (
	gpuResource = "nvidia.com/gpu"
	gpuProduct  = "NVIDIA-H100-80GB-HBM3"
	gpusPerNode = "8"
)

// creators is how many nodes are created at a time.
const creators = 8

// gpuNode is a machine with eight GPUs that exists only in the API.
func gpuNode(index int) object {
	name := fmt.Sprintf("gpu-%d", index)
	resources := object{"cpu": "64", "memory": "512Gi", "pods": "110", "ephemeral-storage": "1Ti", gpuResource: gpusPerNode}
	return object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": object{
			"name":        name,
			"annotations": object{fakeAnnotation: "fake"},
			"labels": object{
				"kubernetes.io/hostname":           name,
				"kubernetes.io/os":                 "linux",
				"kubernetes.io/arch":               "amd64",
				"type":                             "kwok",
				"nvidia.com/gpu.present":           "true",
				"nvidia.com/gpu.product":           gpuProduct,
				"nvidia.com/gpu.count":             gpusPerNode,
				"node.kubernetes.io/instance-type": "gpu.8x",
			},
		},
		"status": object{"capacity": resources, "allocatable": resources},
	}
}

// createNodes creates n simulated nodes and returns when all of them are ready.
func createNodes(ctx context.Context, api *client, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	indexes := make(chan int)
	var workers sync.WaitGroup
	for range min(n, creators) {
		workers.Go(func() {
			for i := range indexes {
				if err := api.do(ctx, http.MethodPost, "/api/v1/nodes", gpuNode(i), nil); err != nil {
					cancel(fmt.Errorf("create node gpu-%d: %w", i, err))
				}
			}
		})
	}
	for i := range n {
		indexes <- i
	}
	close(indexes)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// Looking at a thousand nodes takes the API server as long as creating some.
	pause := often + time.Duration(n)*time.Millisecond
	return until(ctx, pause, func(ctx context.Context) error { return nodesReady(ctx, api, n) })
}

// nodesReady returns an error unless n nodes are ready to take pods.
func nodesReady(ctx context.Context, api *client, n int) error {
	var list struct {
		Items []struct {
			Spec struct {
				Taints []object `json:"taints"`
			} `json:"spec"`
			Status struct {
				Conditions []struct{ Type, Status string } `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := api.do(ctx, http.MethodGet, "/api/v1/nodes", nil, &list); err != nil {
		return err
	}
	ready := 0
	for _, item := range list.Items {
		for _, condition := range item.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" && len(item.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	if ready < n {
		return fmt.Errorf("%d of %d nodes are ready", ready, n)
	}
	return nil
}
