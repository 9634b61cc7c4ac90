// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/kustomize-controller/internal/controller/kustomization"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/watch"
)

// newLookout returns what watches the dependencies of any kind. They are on
// the cluster of the Kustomizations, wherever these are applied.
func newLookout(ctx context.Context, a *app.App, waker *kustomization.Waker) (*watch.Lookout, error) {
	client, err := dynamic.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for dependencies: %w", err)
	}
	return watch.NewLookout(ctx, client, a.Manager.GetRESTMapper(), a.Log.WithName("lookout"), waker.Wake), nil
}
