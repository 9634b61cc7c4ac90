// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// Client sends objects to one cluster as one user.
type Client struct {
	// Dynamic talks to the API server as that user.
	Dynamic dynamic.Interface
	// Mapper knows the resources of the cluster.
	Mapper meta.RESTMapper
	// Manager owns the fields of what is applied.
	Manager string
}

// resource returns the endpoint of a kind. The mapper asks the API server
// again for a kind that it does not know.
func (c *Client) resource(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	resource := c.Dynamic.Resource(mapping.Resource)
	switch {
	case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
		return resource, nil
	case namespace == "":
		return nil, errors.New("namespace not specified; set it in the object, in the kustomization or as target namespace")
	}
	return resource.Namespace(namespace), nil
}

// send applies data, which is the object or what of it is to be applied, for
// real or to see what would become of it.
func (c *Client) send(ctx context.Context, d *Desired, data []byte, dryRun bool) (*unstructured.Unstructured, error) {
	resource, err := c.resource(d.GVK, d.Ref.Namespace)
	if err != nil {
		return nil, err
	}
	force := true
	options := metav1.PatchOptions{FieldManager: c.Manager, Force: &force, FieldValidation: d.FieldValidation}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return resource.Patch(ctx, d.Ref.Name, types.ApplyPatchType, data, options)
}

// Get reads a live object.
func (c *Client) Get(ctx context.Context, ref inventory.Ref, version string) (*unstructured.Unstructured, error) {
	resource, err := c.resource(ref.GroupKind().WithVersion(version), ref.Namespace)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, ref.Name, metav1.GetOptions{})
}

// MayGet reads a live object only to see whether the user may; one that does
// not exist is no error.
func (c *Client) MayGet(ctx context.Context, ref inventory.Ref, version string) error {
	_, err := c.Get(ctx, ref, version)
	if err == nil || apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	return &ObjectError{Ref: ref, Doing: "read", Err: err}
}

// deleteObject asks for the deletion of exactly the given live object.
func (c *Client) deleteObject(ctx context.Context, live *unstructured.Unstructured) error {
	resource, err := c.resource(live.GroupVersionKind(), live.GetNamespace())
	if err != nil {
		return err
	}
	uid, background := live.GetUID(), metav1.DeletePropagationBackground
	return resource.Delete(ctx, live.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: &background,
	})
}

// patchMetadata sends JSON patches for managed fields, labels and annotations,
// and returns the patched object.
func (c *Client) patchMetadata(ctx context.Context, live *unstructured.Unstructured, patches []ssa.JSONPatch) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(patches)
	if err != nil {
		return nil, fmt.Errorf("encode the patch of %s: %w", inventory.RefOf(live), err)
	}
	resource, err := c.resource(live.GroupVersionKind(), live.GetNamespace())
	if err != nil {
		return nil, err
	}
	return resource.Patch(ctx, live.GetName(), types.JSONPatchType, data, metav1.PatchOptions{FieldManager: c.Manager})
}
