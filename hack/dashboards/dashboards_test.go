// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package dashboards holds the dashboards for Grafana. Its test runs every
// query of every panel against a real Prometheus, which has scraped a
// controller at work.
package dashboards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/platform"
)

// patience bounds what the test waits for, the build of the controllers included.
const patience = 5 * time.Minute

// dashboard is the part of Grafana's model that has queries.
type dashboard struct {
	Title  string `json:"title"`
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// TestEveryQueryReturnsData is about the queries as they are in the files, with
// Grafana's variables filled in.
func TestEveryQueryReturnsData(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := start(ctx, t)
	prometheus, err := p.StartPrometheus(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := work(ctx, t, p)
	variables := strings.NewReplacer("$quota", ".*", "$__rate_interval", "1m")
	for _, panel := range read(t, "gpu.json").Panels {
		for _, target := range panel.Targets {
			err := platform.Await(ctx, func(ctx context.Context) error {
				// A rate is known once something has happened between two scrapes.
				if err := ask(ctx); !apierrors.IsForbidden(err) {
					return fmt.Errorf("a pod beyond the limit: %w, want it forbidden", err)
				}
				series, err := prometheus.Query(ctx, variables.Replace(target.Expr))
				if err == nil && series == 0 {
					err = errors.New("it returns nothing")
				}
				return err
			})
			if err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
		}
	}
}

func read(t *testing.T, file string) *dashboard {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := &dashboard{}
	if err := json.Unmarshal(data, d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) == 0 {
		t.Fatalf("%s has no panels", file)
	}
	return d
}

// start brings up a cluster with gpu-quota-controller.
func start(ctx context.Context, t *testing.T) *platform.Platform {
	t.Helper()
	p, err := platform.StartBare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.StartQuotaReplicas(ctx, 1); err != nil {
		t.Fatal(err)
	}
	return p
}

// work has pods admitted, so that there is something to be seen, and returns
// what asks for one more than there may be.
func work(ctx context.Context, t *testing.T, p *platform.Platform) (ask func(context.Context) error) {
	t.Helper()
	api, err := kubernetes.NewForConfig(p.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string]map[string]string{"team": {quotav1.LabelPrefix + "team": "team"}, "elsewhere": nil} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		if _, err := api.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	limit(ctx, t, p)
	create := func(ctx context.Context, namespace string) error {
		_, err := api.CoreV1().Pods(namespace).Create(ctx, pod(), metav1.CreateOptions{})
		return err
	}
	if err := errors.Join(create(ctx, "elsewhere"), create(ctx, "team")); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error { return create(ctx, "team") }
}

// limit allows the team one GPU, and waits until that holds.
func limit(ctx context.Context, t *testing.T, p *platform.Platform) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := quotav1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	quotas, err := client.New(p.Cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	quota := &quotav1.GPUQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "team"},
		Spec: quotav1.GPUQuotaSpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{quotav1.LabelPrefix + "team": "team"}},
			Limits:            []quotav1.Limit{{Device: quotav1.DefaultDevice, Hard: "1"}},
		},
	}
	if err := quotas.Create(ctx, quota); err != nil {
		t.Fatal(err)
	}
	err = platform.Await(ctx, func(ctx context.Context) error {
		if err := quotas.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(quota.Status.Conditions, "Ready") {
			return fmt.Errorf("the quota is not enforced: %+v", quota.Status.Conditions)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "train-"},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{
				Name: "train", Image: "none",
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}},
			}},
		},
	}
}
