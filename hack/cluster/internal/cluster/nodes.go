// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

// gpuNode is a machine with eight GPUs that exists only in the API. Beside a real node it has no operating system: pods
// that ask for one, because they have to run, go to the real node, and all others had better come here.
func gpuNode(index int, beside bool) object {
	name := fmt.Sprintf("gpu-%d", index)
	resources := object{"cpu": "64", "memory": "512Gi", "pods": "110", "ephemeral-storage": "1Ti", gpuResource: gpusPerNode}
	labels := object{
		"kubernetes.io/hostname":           name,
		"kubernetes.io/arch":               "amd64",
		"type":                             "kwok",
		"nvidia.com/gpu.present":           "true",
		"nvidia.com/gpu.product":           gpuProduct,
		"nvidia.com/gpu.count":             gpusPerNode,
		"node.kubernetes.io/instance-type": "gpu.8x",
	}
	if !beside {
		labels["kubernetes.io/os"] = "linux"
	}
	return object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": object{
			"name":        name,
			"annotations": object{fakeAnnotation: "fake"},
			"labels":      labels,
		},
		"status": object{"capacity": resources, "allocatable": resources},
	}
}

// createNodes creates n simulated nodes and returns when all of them are ready.
func createNodes(ctx context.Context, api *client, n int, beside bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	indexes := make(chan int)
	var workers sync.WaitGroup
	for range min(n, creators) {
		workers.Go(func() {
			for i := range indexes {
				if err := api.do(ctx, http.MethodPost, "/api/v1/nodes", gpuNode(i, beside), nil); err != nil {
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
	return until(ctx, pause, func(ctx context.Context) error {
		return nodesReady(ctx, api, "?labelSelector=type%3Dkwok", n, time.Time{})
	})
}

// A taint is a mark of a node that pods have to tolerate.
type taint struct {
	Key string `json:"key"`
}

// A condition is what a node says about itself.
type condition struct {
	Type      string    `json:"type"`
	Status    string    `json:"status"`
	Heartbeat time.Time `json:"lastHeartbeatTime"`
}

// unready reports whether Kubernetes set the taint, which it does until a node works.
func unready(t taint) bool {
	return strings.HasPrefix(t.Key, "node.kubernetes.io/")
}

// nodesReady returns an error unless n nodes of those that query selects are ready to take pods, and said so after since.
func nodesReady(ctx context.Context, api *client, query string, n int, since time.Time) error {
	var list struct {
		Items []struct {
			Spec struct {
				Taints []taint `json:"taints"`
			} `json:"spec"`
			Status struct {
				Conditions []condition `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := api.do(ctx, http.MethodGet, "/api/v1/nodes"+query, nil, &list); err != nil {
		return err
	}
	ready := 0
	for _, item := range list.Items {
		works := func(c condition) bool { return c.Type == "Ready" && c.Status == "True" && c.Heartbeat.After(since) }
		if slices.ContainsFunc(item.Status.Conditions, works) && !slices.ContainsFunc(item.Spec.Taints, unready) {
			ready++
		}
	}
	if ready < n {
		return fmt.Errorf("%d of %d nodes are ready", ready, n)
	}
	return nil
}
