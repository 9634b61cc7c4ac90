// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// bare is the least that any controller has to do for a Kustomization: apply
// each object as the tenant, once dry and once for real, and write two
// statuses. It builds nothing, watches nothing and remembers nothing.
type bare struct {
	status    client.Client
	tenant    dynamic.Interface
	documents func(name string) []document
	// atOnce is how many objects of one Kustomization are applied at a time,
	// so that there are 20 workers however many Kustomizations there are.
	atOnce int
}

// endpoints are where the documents of the manifest go, in its order.
var endpoints = [objectsPerApp]schema.GroupVersionResource{
	{Version: "v1", Resource: "serviceaccounts"},
	{Version: "v1", Resource: "services"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
}

func newBare(r *rig, w workload) (*bare, error) {
	cfg := r.cluster.Config()
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":tenant"}
	tenant, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the tenant's client: %w", err)
	}
	return &bare{status: r.client, tenant: tenant, documents: w.documents, atOnce: max(1, workers/len(w.subjects))}, nil
}

func (b *bare) reconcile(ctx context.Context, name string) error {
	k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := b.writeStatus(ctx, k, false); err != nil {
		return err
	}
	for _, dryRun := range [][]string{{metav1.DryRunAll}, nil} {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(b.atOnce)
		for _, d := range b.documents(name) {
			group.Go(func() error { return b.apply(groupCtx, d, dryRun) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return b.writeStatus(ctx, k, true)
}

func (b *bare) apply(ctx context.Context, d document, dryRun []string) error {
	data, err := yaml.YAMLToJSON([]byte(d.yaml))
	if err != nil {
		return fmt.Errorf("encode %s: %w", d.app, err)
	}
	force := true
	_, err = b.tenant.Resource(d.endpoint).Namespace(namespace).Patch(ctx, d.app, types.ApplyPatchType, data,
		metav1.PatchOptions{FieldManager: "bare", Force: &force, DryRun: dryRun})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", d.endpoint.Resource, d.app, err)
	}
	return nil
}

func (b *bare) writeStatus(ctx context.Context, k *kustomizev1.Kustomization, ready bool) error {
	before := k.DeepCopy()
	markReady(k, ready)
	if err := b.status.Status().Patch(ctx, k, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write the status of %s: %w", k.Name, err)
	}
	return nil
}
