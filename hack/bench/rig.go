// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/sync/errgroup"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// patience bounds every wait of a measurement.
const patience = 10 * time.Minute

// rig is a fresh cluster with Weir's manifests and the workload's source.
type rig struct {
	cluster *testkit.Cluster
	client  client.WithWatch
	store   *store
	close   []func()
}

func newRig(ctx context.Context) (_ *rig, err error) {
	cluster, err := testkit.StartCluster(ctx, testkit.WithClusterProgress(os.Stderr))
	if err != nil {
		return nil, err
	}
	r := &rig{cluster: cluster}
	r.close = append(r.close, func() { _ = cluster.Stop(context.WithoutCancel(ctx)) })
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if err := cluster.Install(ctx); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme, helmv2.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	if r.client, err = client.NewWithWatch(cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("make the client: %w", err)
	}
	r.store = newStore()
	r.close = append(r.close, r.store.server.Close)
	return r, prepare(ctx, r.client)
}

// Close ends everything, the last first.
func (r *rig) Close() {
	for _, end := range slices.Backward(r.close) {
		end()
	}
}

// untilReady publishes the sources of a workload, creates its subjects
// with 20 workers, and returns the time from the first create to the last one
// that a watch sees ready.
func (r *rig) untilReady(ctx context.Context, w workload, each func(ctx context.Context, name string) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.publish(ctx, r.client, r.store); err != nil {
		return 0, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	start := time.Now()
	var took time.Duration
	group.Go(func() error {
		err := r.awaitReady(groupCtx, w)
		took = time.Since(start)
		return err
	})
	group.Go(func() error { return r.createAll(groupCtx, w, each) })
	err := group.Wait()
	return took, err
}

// createAll creates the subjects of a workload with 20 workers, and does with
// each what it is told to.
func (r *rig) createAll(ctx context.Context, w workload, each func(ctx context.Context, name string) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, s := range w.subjects {
		group.Go(func() error {
			obj, _ := s.DeepCopyObject().(client.Object)
			if err := r.client.Create(groupCtx, obj); err != nil {
				return fmt.Errorf("create %s: %w", obj.GetName(), err)
			}
			return each(groupCtx, obj.GetName())
		})
	}
	return group.Wait()
}

// awaitReady watches until all subjects of a workload are ready. The API server
// ends a watch that falls behind; then the list says what was missed.
func (r *rig) awaitReady(ctx context.Context, w workload) error {
	ready, n := map[string]struct{}{}, len(w.subjects)
	note := func(obj runtime.Object) error {
		if s, ok := obj.(subject); ok && conditions.IsReady(s) && conditions.Get(s, fluxmeta.ReadyCondition).ObservedGeneration == s.GetGeneration() {
			ready[s.GetName()] = struct{}{}
		}
		return nil
	}
	for len(ready) < n {
		list, _ := w.list.DeepCopyObject().(client.ObjectList)
		if err := r.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("%d of %d are ready: %w", len(ready), n, err)
		}
		if err := apimeta.EachListItem(list, note); err != nil {
			return err
		}
		since := &client.ListOptions{Namespace: namespace, Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}}
		events, err := r.client.Watch(ctx, list, since)
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		for event := range events.ResultChan() {
			_ = note(event.Object) // it never fails
			if len(ready) == n {
				break
			}
		}
		events.Stop()
	}
	return nil
}

// markReady writes the status of a Kustomization as the bare client does,
// first as progressing, then as ready.
func markReady(k *kustomizev1.Kustomization, ready bool) {
	status, reason := metav1.ConditionUnknown, fluxmeta.ProgressingReason
	if ready {
		status, reason = metav1.ConditionTrue, fluxmeta.ReconciliationSucceededReason
		k.Status.ObservedGeneration = k.Generation
	}
	k.Status.Conditions = []metav1.Condition{{
		Type: fluxmeta.ReadyCondition, Status: status, Reason: reason, Message: "Applied revision: main", LastTransitionTime: metav1.Now(), ObservedGeneration: k.Generation,
	}}
}
