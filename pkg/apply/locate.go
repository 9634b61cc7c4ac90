// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// Locate returns the Ref of an object that somebody names, without a namespace
// if its kind has none. A kind that the cluster does not have is an error for
// which meta.IsNoMatchError is true.
func (c *Client) Locate(gvk schema.GroupVersionKind, name types.NamespacedName) (inventory.Ref, error) {
	mapping, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return inventory.Ref{}, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		name.Namespace = ""
	}
	return inventory.Ref{Namespace: name.Namespace, Name: name.Name, Group: gvk.Group, Kind: gvk.Kind}, nil
}
