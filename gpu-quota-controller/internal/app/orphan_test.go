// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/webhook"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestOrphan: where there is no such thing as a GPUQuota, a controller removes
// the webhook that an earlier one has left, and does nothing else.
func TestOrphan(t *testing.T) {
	t.Parallel()
	cluster, err := testkit.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	clients, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	settings := webhook.Settings{Namespace: "weir-system"}
	configurations := clients.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := configurations.Create(t.Context(), settings.Configuration(webhook.Selection{Names: []string{"default"}}, nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	o, quiet := &Options{Config: cluster.Config()}, logr.Discard()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse([]string{"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=weir-system"}); err != nil {
		t.Fatal(err)
	}
	o.Logger = &quiet
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := configurations.Get(ctx, webhook.ConfigurationName, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		t.Error("the configuration is still there: ", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, app.ErrStopped) {
		t.Error(err)
	}
}
