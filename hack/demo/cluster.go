// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// gpu is the resource that all of this is about.
const gpu corev1.ResourceName = "nvidia.com/gpu"

// serving is the namespace of the team that serves the model.
const serving = "team-serving"

// runningGPUs is how many GPUs the running pods of a namespace have.
func (s *story) runningGPUs(ctx context.Context, namespace string) (int64, error) {
	var list corev1.PodList
	if err := readAll(ctx, s.platform, "pods", namespace, &list); err != nil {
		return 0, err
	}
	var sum int64
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		for j := range pod.Spec.Containers {
			sum += pod.Spec.Containers[j].Resources.Limits.Name(gpu, "").Value()
		}
	}
	return sum, nil
}

// allocatable is how many GPUs the nodes offer.
func allocatable(ctx context.Context, p *platform.Platform) (int64, error) {
	var nodes corev1.NodeList
	if err := readAll(ctx, p, "nodes", "", &nodes); err != nil {
		return 0, err
	}
	var sum int64
	for i := range nodes.Items {
		sum += nodes.Items[i].Status.Allocatable.Name(gpu, "").Value()
	}
	return sum, nil
}

// readAll reads objects of the core group into a typed list.
func readAll(ctx context.Context, p *platform.Platform, resource, namespace string, into any) error {
	found, err := p.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).
		Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list %s: %w", resource, err)
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(found.UnstructuredContent(), into)
}

// serves returns nil if the cluster is at a commit and the model server's
// running pods have a number of GPUs.
func (s *story) serves(commit string, gpus int64) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := s.platform.Applied(ctx, commit); err != nil {
			return err
		}
		got, err := s.runningGPUs(ctx, serving)
		if err == nil && got != gpus {
			err = fmt.Errorf("the running pods of %s have %d GPUs, not %d", serving, got, gpus)
		}
		return err
	}
}

// versions returns the resource version of every live object that a
// Kustomization has applied.
func (s *story) versions(ctx context.Context, kustomization string) (map[inventory.Ref]string, error) {
	k, err := s.platform.Kustomization(ctx, kustomization)
	if err != nil {
		return nil, err
	}
	inv, err := platform.Inventory(k)
	if err != nil {
		return nil, err
	}
	live, err := s.platform.Live(ctx, inv)
	if err != nil {
		return nil, err
	}
	all := make(map[inventory.Ref]string, len(live))
	for ref, object := range live {
		all[ref] = object.GetResourceVersion()
	}
	return all, nil
}

// quiet is how long nothing may change for a cluster to have settled.
const quiet = time.Second

// settled waits until Kubernetes' own controllers have nothing more to say
// about what a Kustomization has applied, and returns its versions.
func (s *story) settled(ctx context.Context, kustomization string) (map[inventory.Ref]string, error) {
	var last map[inventory.Ref]string
	since := time.Now()
	err := platform.Await(ctx, func(ctx context.Context) error {
		now, err := s.versions(ctx, kustomization)
		if err != nil {
			return err
		}
		if moved := differences(last, now); last == nil || len(moved) > 0 {
			last, since = now, time.Now()
		}
		if time.Since(since) < quiet {
			return fmt.Errorf("what %s has applied is still changing", kustomization)
		}
		return nil
	})
	return last, err
}

// differences names the objects whose versions differ, sorted.
func differences(before, after map[inventory.Ref]string) []string {
	var names []string
	for ref, version := range after {
		if before[ref] != version {
			names = append(names, ref.String())
		}
	}
	for ref := range before {
		if _, ok := after[ref]; !ok {
			names = append(names, ref.String())
		}
	}
	slices.Sort(names)
	return names
}

// jsonString reads one text of a JSON object.
func jsonString(document, field string) (string, error) {
	var object map[string]any
	if err := json.Unmarshal([]byte(document), &object); err != nil {
		return "", err
	}
	text, ok := object[field].(string)
	if !ok {
		return "", fmt.Errorf("there is no text %q in %s", field, document)
	}
	return text, nil
}
