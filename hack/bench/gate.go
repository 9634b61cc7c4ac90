// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// asks is how often the gate is asked, each time for another revision, in turn
// for each of the roots.
const asks = 300

// measureGate measures from the request of a revision that grows to the verdict
// that it fits.
func measureGate(ctx context.Context, out results) error {
	return onGPUs(ctx, func(r *gpuRig) error {
		names := spread("gate", roots)
		err := inParallel(ctx, names, func(ctx context.Context, name string) error {
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
		if err := r.enforced(ctx); err != nil {
			return err
		}
		all, err := r.ask(ctx, names)
		if err != nil {
			return err
		}
		out["gpu_gate_p50_ms"], out["gpu_gate_p99_ms"] = all.quantile(0.5), all.quantile(0.99)
		fmt.Printf("  gate: asked to granted p50 %.1f ms, p99 %.1f ms\n", all.quantile(0.5), all.quantile(0.99))
		return nil
	})
}

// ask asks as kustomize-controller does, for Kustomizations that exist.
func (r *gpuRig) ask(ctx context.Context, namespaces []string) (*latencies, error) {
	client, err := dynamic.NewForConfig(r.platform.Cluster.Config())
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	owners := make(map[string]types.UID, len(namespaces))
	for _, namespace := range namespaces {
		owner, err := client.Resource(platform.Kustomizations).Namespace(namespace).Create(ctx, kustomization(), metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("create a Kustomization: %w", err)
		}
		owners[namespace] = owner.GetUID()
	}
	asker := gate.NewClient(ctx, gate.Config{
		Client: client, Mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(r.api.Discovery())),
		Namespace: platform.Namespace, Kind: kustomizev1.KustomizationKind, Wake: func(types.NamespacedName) {}, Log: logr.Discard(),
	})
	all := &latencies{}
	for i := range asks + len(namespaces) {
		namespace := namespaces[i%len(namespaces)]
		begun := time.Now()
		verdict, err := asker.Ask(ctx, gate.Request{
			Kind: kustomizev1.KustomizationKind, Namespace: namespace, Name: "app", UID: owners[namespace], Revision: strconv.Itoa(i),
			Change: gate.Change{Objects: []gate.Object{{Key: "apps/Deployment/" + namespace + "/web", Namespace: namespace, After: gpu.Estimate{
				Groups: []gpu.Group{{Shape: gpu.Shape{Resources: gpu.Amounts{string(gpuResource): gpu.Whole(1)}}, Min: 8, Max: 8}},
			}}}},
		})
		if err != nil || verdict.Answer != gate.Granted {
			return nil, fmt.Errorf("the gate answered %+v: %w", verdict, err)
		}
		if i >= len(namespaces) { // the first ones open connections and watches
			all.each = append(all.each, time.Since(begun))
		}
	}
	return all, nil
}

// kustomization has nobody who reconciles it.
func kustomization() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": kustomizev1.GroupVersion.String(), "kind": kustomizev1.KustomizationKind,
		"metadata": map[string]any{"name": "app"},
		"spec": map[string]any{
			"interval": "1h", "prune": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "none"},
		},
	}}
}
