// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/engine"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// remoteLookups is the function lookup in the process that renders, which has no
// credentials: it asks the one that has.
type remoteLookups struct {
	ask func(*message) (*reply, error)
	// coming are kinds that the chart itself is about to define. There are no
	// objects of them.
	coming map[schema.GroupVersionKind]*meta.RESTMapping
}

var _ engine.ClientProvider = (*remoteLookups)(nil)

// GetClientFor implements engine.ClientProvider. Who answers knows whether the
// kind has namespaces.
func (l *remoteLookups) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return remoteKind{lookups: l, question: lookupQuestion{APIVersion: apiVersion, Kind: kind}}, true, nil
}

// remoteKind reads objects of a kind.
type remoteKind struct {
	dynamic.NamespaceableResourceInterface

	lookups  *remoteLookups
	question lookupQuestion
}

// Namespace implements dynamic.NamespaceableResourceInterface.
func (k remoteKind) Namespace(name string) dynamic.ResourceInterface {
	k.question.Namespace = name
	return k
}

// Get reads one object.
func (k remoteKind) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	k.question.Name = name
	body, err := k.read()
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(body); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", k.question.Kind, name, err)
	}
	return obj, nil
}

// List reads all objects.
func (k remoteKind) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	body, err := k.read()
	switch {
	case errors.Is(err, errComing):
		return &unstructured.UnstructuredList{Object: map[string]any{"items": []any{}}}, nil
	case err != nil:
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	if err := list.UnmarshalJSON(body); err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", k.question.Kind, err)
	}
	return list, nil
}

// errComing says that the chart is about to define the kind.
var errComing = apierrors.NewNotFound(schema.GroupResource{}, "")

func (k remoteKind) read() ([]byte, error) {
	answered, err := k.lookups.ask(&message{Lookup: &k.question})
	switch {
	case err != nil:
		return nil, err
	case answered.NoKind && k.lookups.coming[schema.FromAPIVersionAndKind(k.question.APIVersion, k.question.Kind)] != nil:
		return nil, errComing
	case answered.Missing:
		return nil, apierrors.NewNotFound(schema.GroupResource{}, k.question.Name)
	case answered.Fault != "":
		return nil, errors.New(answered.Fault)
	}
	return answered.Body, nil
}
