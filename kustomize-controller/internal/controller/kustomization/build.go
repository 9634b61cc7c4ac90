// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
		Decrypter:     s.decrypter,
	})
	if _, nowhere := errors.AsType[*build.PathError](err); nowhere {
		return reconcile.Fail(kustomizev1.ArtifactFailedReason, err)
	}
	if err != nil {
		return reconcile.Fail(kustomizev1.BuildFailedReason, err)
	}
	s.objects, s.origins, s.reads = result.Objects, result.Origins, result.Reads
	s.after = inventory.Of(s.objects)
	s.before, err = readInventory(s.obj)
	if err != nil {
		return reconcile.Stalled(kustomizev1.ReconciliationFailedReason, fmt.Errorf("read status.inventory: %w", err))
	}
	if s.moved {
		s.before = inventory.Inventory{} // what is on another cluster stays there
	}
	if size := s.after.Union(s.before).Size(); size > inventory.MaxBytes {
		return reconcile.Stalled(kustomizev1.InventoryTooLargeReason,
			fmt.Errorf("the inventory of %d objects takes %d bytes, and status holds %d; split this Kustomization", len(s.after), size, inventory.MaxBytes))
	}
	return nil
}

// readVariables merges what spec.postBuild names: later sources win over
// earlier ones, and inline values over all. The tenant reads them, so that
// nobody substitutes what they could not read themselves. It returns nil if
// there is nothing to substitute.
func (c *Controller) readVariables(ctx context.Context, s *scope) (map[string]string, error) {
	postBuild := s.obj.Spec.PostBuild
	if postBuild == nil {
		return nil, nil
	}
	variables := map[string]string{}
	for _, from := range postBuild.SubstituteFrom {
		ref := inventory.Ref{Namespace: s.obj.Namespace, Name: from.Name, Kind: from.Kind}
		live, err := s.local.Get(ctx, ref, "v1")
		if apierrors.IsNotFound(err) && from.Optional {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("substitute from %s '%s': %w", from.Kind, from.Name, err)
		}
		values, err := substitutes(live)
		if err != nil {
			return nil, fmt.Errorf("substitute from %s '%s': %w", from.Kind, from.Name, err)
		}
		maps.Copy(variables, values)
	}
	maps.Copy(variables, postBuild.Substitute)
	return variables, nil
}

// substitutes returns the data of a ConfigMap, or that of a Secret decoded.
func substitutes(obj *unstructured.Unstructured) (map[string]string, error) {
	data, _, err := unstructured.NestedStringMap(obj.Object, "data")
	if err != nil || obj.GetKind() != "Secret" {
		return data, err
	}
	for name, encoded := range data {
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("the value of %q is not base64", name)
		}
		data[name] = string(value)
	}
	return data, nil
}
