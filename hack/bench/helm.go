// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// measureReleases measures helm-controller: from nothing to ready for 100 and
// 500 HelmReleases of one chart, and the cost of an interval.
func measureReleases(ctx context.Context, out results) error {
	if err := measureBareReleases(ctx, releases(500), out); err != nil {
		return err
	}
	err := on(ctx, helmController, func(r *rig, c *controller) error {
		w := releases(100)
		if err := measureReady(ctx, r, c, w, "hr_100", out); err != nil {
			return err
		}
		requests, cpu, err := costOfInterval(ctx, r, c, w)
		if err != nil {
			return err
		}
		out["hr_unchanged_requests"], out["hr_unchanged_cpu_ms"] = requests, cpu
		fmt.Printf("  unchanged interval: %.2f requests and %.2f ms of CPU for each HelmRelease\n", requests, cpu)
		return nil
	})
	if err != nil {
		return err
	}
	return on(ctx, helmController, func(r *rig, c *controller) error {
		return measureReady(ctx, r, c, releases(500), "hr_500", out)
	})
}

// chart is the app of the benchmark as a chart, with a template for each of its
// objects.
func chart() testkit.HelmChart {
	c := testkit.HelmChart{Name: "app", Version: "1.0.0", AppVersion: "1.0.0", Extra: map[string]string{}}
	for i, text := range strings.Split(manifest, "---\n") {
		c.Extra[fmt.Sprintf("templates/%s.yaml", endpoints[i].Resource)] = strings.ReplaceAll(text, "${app}", "{{ .Release.Name }}")
	}
	return c
}

// releases is n releases of one chart.
func releases(n int) workload {
	w := workload{
		list:      &helmv2.HelmReleaseList{},
		publish:   func(ctx context.Context, c client.Client, s *store) error { return s.publishChart(ctx, c, chart()) },
		documents: documentsOf,
	}
	for i := range n {
		w.subjects = append(w.subjects, &helmv2.HelmRelease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: appName(i)},
			Spec: helmv2.HelmReleaseSpec{
				Interval:           metav1.Duration{Duration: time.Hour},
				ServiceAccountName: "tenant",
				ChartRef:           &helmv2.CrossNamespaceSourceReference{Kind: "HelmChart", Name: "app"},
			},
		})
	}
	return w
}

// measureBareReleases measures the least that any controller has to do for a
// release: apply each object once, as the tenant, and write the Secret with the
// release before and after that. It renders nothing and waits for nothing.
func measureBareReleases(ctx context.Context, w workload, out results) error {
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := newBare(r, w)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := r.createAll(ctx, w, b.release); err != nil {
		return fmt.Errorf("bare client: %w", err)
	}
	took := time.Since(start)
	out["hr_500_bare_seconds"] = took.Seconds()
	fmt.Printf("  %-18s bare client %8.1f s\n", "hr_500", took.Seconds())
	return nil
}

// storedRelease is about the size of the release of one app as Helm stores it.
var storedRelease = bytes.Repeat([]byte("H4sIAAAA"), 400)

// release applies one app and writes its release.
func (b *bare) release(ctx context.Context, name string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sh.helm.release.v1." + name + ".v1", Labels: map[string]string{
			"owner": "helm", "name": name, "version": "1", "status": "pending-install",
		}},
		Type: "helm.sh/release.v1",
		Data: map[string][]byte{"release": storedRelease},
	}
	if err := b.status.Create(ctx, secret); err != nil {
		return fmt.Errorf("store release %s: %w", name, err)
	}
	for _, d := range b.documents(name) {
		if err := b.apply(ctx, d, nil); err != nil {
			return err
		}
	}
	secret.Labels["status"] = "deployed"
	if err := b.status.Update(ctx, secret); err != nil {
		return fmt.Errorf("store release %s: %w", name, err)
	}
	return nil
}
