// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wire "github.com/weir-gitops/weir/pkg/gate"
)

// asking are the kinds that ask.
var asking = map[string]schema.GroupVersionKind{
	"Kustomization": {Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
	"HelmRelease":   {Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmRelease"},
}

// Live asks the API server about owners.
type Live struct {
	// Reader reads past any cache.
	Reader client.Reader
}

var _ Owners = Live{}

// Wants implements Owners. An owner that is gone, going, suspended or only plans
// does not apply anything; of one on another cluster that is not known, and its applier
// takes its request back.
func (l Live) Wants(ctx context.Context, r wire.Request) (bool, error) {
	if r.Remote {
		return true, nil
	}
	gvk, known := asking[r.Kind]
	if !known {
		return false, nil
	}
	owner := &unstructured.Unstructured{}
	owner.SetGroupVersionKind(gvk)
	err := l.Reader.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: r.Name}, owner)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look at %s %s/%s, which asks for devices: %w", r.Kind, r.Namespace, r.Name, err)
	}
	suspended, _, _ := unstructured.NestedBool(owner.Object, "spec", "suspend")
	mode, _, _ := unstructured.NestedString(owner.Object, "spec", "weir", "mode")
	return mode != "Plan" && owner.GetUID() == r.UID && owner.GetDeletionTimestamp() == nil && !suspended, nil
}
