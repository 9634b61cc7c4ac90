// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"net/http"

	"helm.sh/helm/v3/pkg/engine"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// lookups gives the templates' function lookup its clients: those of the
// tenant, bound to the action, with the mapper that is there instead of one
// discovery for each call.
type lookups struct {
	config *rest.Config // ends with the action, as http does
	http   *http.Client
	mapper meta.RESTMapper
	// coming are kinds that the chart itself is about to define.
	coming map[schema.GroupVersionKind]*meta.RESTMapping

	client dynamic.Interface
}

var _ engine.ClientProvider = (*lookups)(nil)

// GetClientFor implements engine.ClientProvider.
func (l *lookups) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	mapping, err := l.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		if soon := l.coming[gvk]; soon != nil && meta.IsNoMatchError(err) {
			return nowhere{}, namespaced(soon), nil
		}
		return nil, false, fmt.Errorf("look up %s of %s: %w", kind, apiVersion, err)
	}
	if l.client == nil {
		if l.client, err = dynamic.NewForConfigAndClient(l.config, l.http); err != nil {
			return nil, false, fmt.Errorf("look up %s of %s: %w", kind, apiVersion, err)
		}
	}
	return l.client.Resource(mapping.Resource), namespaced(mapping), nil
}

func namespaced(mapping *meta.RESTMapping) bool {
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace
}

// nowhere has no objects: those of a kind that does not exist yet.
type nowhere struct {
	dynamic.NamespaceableResourceInterface
}

// Namespace implements dynamic.NamespaceableResourceInterface.
func (n nowhere) Namespace(string) dynamic.ResourceInterface { return n }

// Get finds nothing.
func (nowhere) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	return nil, apierrors.NewNotFound(schema.GroupResource{}, name)
}

// List finds nothing.
func (nowhere) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return &unstructured.UnstructuredList{Object: map[string]any{"items": []any{}}}, nil
}
