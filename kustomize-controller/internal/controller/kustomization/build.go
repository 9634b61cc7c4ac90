// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// build renders the objects of the artifact.
func (c *Controller) build(ctx context.Context, s *scope) error {
	if !s.full {
		return nil
	}
	result, err := c.Builder.Build(ctx, build.Request{
		SourceUID:     s.source.GetUID(),
		Digest:        s.artifact.Digest,
		Root:          s.tree.Dir(),
		Kustomization: s.obj,
		Variables:     s.variables,
	})
	if err != nil {
		return reconcile.Fail(kustomizev1.BuildFailedReason, err)
	}
	s.objects = result.Objects
	s.after = inventory.Of(s.objects)
	s.before, err = readInventory(s.obj)
	if err != nil {
		return reconcile.Stalled(kustomizev1.ReconciliationFailedReason, fmt.Errorf("read status.inventory: %w", err))
	}
	if size := s.after.Union(s.before).Size(); size > inventory.MaxBytes {
		return reconcile.Stalled(kustomizev1.InventoryTooLargeReason,
			fmt.Errorf("the inventory of %d objects takes %d bytes, and status holds %d; split this Kustomization", len(s.after), size, inventory.MaxBytes))
	}
	return nil
}

// readVariables merges what spec.postBuild names: later sources win over
// earlier ones, and inline values over all. It returns nil if there is nothing
// to substitute.
func (c *Controller) readVariables(ctx context.Context, obj *kustomizev1.Kustomization) (map[string]string, error) {
	if obj.Spec.PostBuild == nil {
		return nil, nil
	}
	variables := map[string]string{}
	for _, ref := range obj.Spec.PostBuild.SubstituteFrom {
		values, err := c.readSubstitutes(ctx, client.ObjectKey{Namespace: obj.Namespace, Name: ref.Name}, ref.Kind)
		if apierrors.IsNotFound(err) && ref.Optional {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("substitute from %s '%s': %w", ref.Kind, ref.Name, err)
		}
		maps.Copy(variables, values)
	}
	maps.Copy(variables, obj.Spec.PostBuild.Substitute)
	return variables, nil
}

func (c *Controller) readSubstitutes(ctx context.Context, key client.ObjectKey, kind string) (map[string]string, error) {
	if kind == "Secret" {
		secret := &corev1.Secret{}
		err := c.Client.Get(ctx, key, secret)
		values := make(map[string]string, len(secret.Data))
		for name, value := range secret.Data {
			values[name] = string(value)
		}
		return values, err
	}
	config := &corev1.ConfigMap{}
	err := c.Client.Get(ctx, key, config)
	return config.Data, err
}
