// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

const (
	// gpuLimit is what the quota of the load allows.
	gpuLimit = 4
	// askEvery is how often a pod is created, and freeEvery how often some are
	// deleted.
	askEvery  = 500 * time.Millisecond
	freeEvery = 5 * time.Second
	// askPatience is how long an answer of the API server may take.
	askPatience = 35 * time.Second
)

// A crowd asks for GPUs all the time, for more than there are, and looks how
// many it got.
type crowd struct {
	client dynamic.Interface

	mu                        sync.Mutex
	charged                   []int // at each look
	admitted, refused, failed int
}

// run asks until ctx ends.
func (c *crowd) run(ctx context.Context) {
	var askers sync.WaitGroup
	askers.Go(func() { every(ctx, askEvery, func() { c.ask(ctx) }) })
	askers.Go(func() { every(ctx, askEvery, func() { c.ask(ctx) }) })
	askers.Go(func() { every(ctx, freeEvery, func() { c.free(ctx) }) })
	askers.Go(func() { every(ctx, askEvery, func() { c.look(ctx) }) })
	askers.Wait()
}

// every does something again and again until ctx ends.
func every(ctx context.Context, pause time.Duration, act func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			act()
		}
	}
}

func (c *crowd) pods() dynamic.ResourceInterface { return c.client.Resource(pods).Namespace(gpus) }

// pod asks for GPUs and is never scheduled.
func pod(count int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"generateName": "asks-"},
		"spec": map[string]any{
			"schedulerName": "nobody", "automountServiceAccountToken": false,
			"containers": []any{map[string]any{
				"name": "asks", "image": "registry.example.com/asks",
				"resources": map[string]any{"limits": map[string]any{"nvidia.com/gpu": strconv.Itoa(count)}},
			}},
		},
	}}
}

// ask creates a pod, and counts what came of it.
func (c *crowd) ask(ctx context.Context) {
	err := c.create(ctx, 1, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.admitted++
	case strings.Contains(err.Error(), "exceeded quota:"):
		c.refused++
	default:
		c.failed++
	}
}

func (c *crowd) create(ctx context.Context, count int, dryRun []string) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	_, err := c.pods().Create(ctx, pod(count), metav1.CreateOptions{DryRun: dryRun})
	return err
}

// answers returns nil if somebody decides about GPUs, and decides right.
func (c *crowd) answers(ctx context.Context) error {
	err := c.create(ctx, gpuLimit+1, []string{metav1.DryRunAll})
	switch {
	case err == nil:
		return errors.New("a pod that no quota has room for is admitted")
	case strings.Contains(err.Error(), "can never fit"):
		return nil
	default:
		return fmt.Errorf("nobody decides about GPUs: %w", err)
	}
}

// free deletes up to two pods, so that others get what they had.
func (c *crowd) free(ctx context.Context) {
	found, err := c.pods().List(ctx, metav1.ListOptions{})
	if err != nil {
		return // the API server is away; there is a next time
	}
	rand.Shuffle(len(found.Items), func(i, j int) { found.Items[i], found.Items[j] = found.Items[j], found.Items[i] })
	for i := range min(2, len(found.Items)) {
		_ = c.pods().Delete(ctx, found.Items[i].GetName(), metav1.DeleteOptions{}) // there is a next time
	}
}

// look counts the pods, each of which has a GPU. A list is of one moment.
func (c *crowd) look(ctx context.Context) {
	found, err := c.pods().List(ctx, metav1.ListOptions{})
	if err != nil {
		return // nothing is admitted while nobody can look
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.charged = append(c.charged, len(found.Items))
}

// peek returns what was seen so far.
func (c *crowd) peek() (charged []int, admitted, refused, failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int(nil), c.charged...), c.admitted, c.refused, c.failed
}
