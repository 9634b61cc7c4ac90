// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/hack/platform"
)

// wakeups is how often a GPU is freed that somebody waits for.
const wakeups = 50

// measureWakeups measures from the deletion of a pod that holds the only GPU to
// the creation of the pod of a ReplicaSet that was denied it.
func measureWakeups(ctx context.Context, out results) error {
	return onGPUs(ctx, func(r *gpuRig) error {
		names := spread("wake", wakeups)
		err := inParallel(ctx, names, func(ctx context.Context, name string) error {
			if err := r.namespace(ctx, name, name); err != nil {
				return err
			}
			return r.quota(ctx, name, "", 1)
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
		all := &latencies{}
		for _, name := range names {
			took, err := r.wakeup(ctx, name)
			if err != nil {
				return err
			}
			all.each = append(all.each, took)
		}
		out["gpu_wakeup_p50_ms"], out["gpu_wakeup_p99_ms"] = all.quantile(0.5), all.quantile(0.99)
		fmt.Printf("  wake-up: freed to created p50 %.0f ms, p99 %.0f ms\n", all.quantile(0.5), all.quantile(0.99))
		return nil
	})
}

// wakeup fills the quota of a namespace, has a ReplicaSet denied, and frees the
// GPU.
func (r *gpuRig) wakeup(ctx context.Context, name string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	holder, err := r.api.CoreV1().Pods(name).Create(ctx, pod(1), metav1.CreateOptions{})
	if err != nil {
		return 0, err
	}
	if _, err := r.api.AppsV1().ReplicaSets(name).Create(ctx, replicaSet(), metav1.CreateOptions{}); err != nil {
		return 0, err
	}
	if err := platform.Await(ctx, func(ctx context.Context) error { return r.denied(ctx, name) }); err != nil {
		return 0, err
	}
	pods, err := r.api.CoreV1().Pods(name).Watch(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		return 0, err
	}
	defer pods.Stop()
	begun := time.Now()
	if err := r.api.CoreV1().Pods(name).Delete(ctx, holder.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		return 0, err
	}
	select {
	case <-pods.ResultChan():
		return time.Since(begun), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("the ReplicaSet of %s has got no pod: %w", name, ctx.Err())
	}
}

// denied returns nil if the ReplicaSet of a namespace was denied its pod.
func (r *gpuRig) denied(ctx context.Context, name string) error {
	set, err := r.api.AppsV1().ReplicaSets(name).Get(ctx, "waits", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range set.Status.Conditions {
		if condition.Type == appsv1.ReplicaSetReplicaFailure && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("the ReplicaSet of %s was not denied its pod", name)
}

func replicaSet() *appsv1.ReplicaSet {
	labels := map[string]string{"app": "waits"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "waits"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod(1).Spec},
		},
	}
}
