// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// Marks that Helm puts on every object of a release, and that count as part of
// it.
const (
	managedByLabel             = "app.kubernetes.io/managed-by"
	managedByHelm              = "Helm"
	releaseNameAnnotation      = "meta.helm.sh/release-name"
	releaseNamespaceAnnotation = "meta.helm.sh/release-namespace"
	hookAnnotation             = "helm.sh/hook"
	policyAnnotation           = "helm.sh/resource-policy"
	policyKeep                 = "keep"
)

// bufferSize is how much of a stream is looked at to tell YAML from JSON.
const bufferSize = 4096

// Decode reads the objects of a stream of YAML documents, in their order. Lists
// are taken apart, documents without content left out. The error says which
// document cannot be read.
func Decode(stream io.Reader) ([]*unstructured.Unstructured, error) {
	decoder := utilyaml.NewYAMLOrJSONDecoder(stream, bufferSize)
	var objects []*unstructured.Unstructured
	for document := 1; ; document++ {
		raw := runtime.RawExtension{}
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d of the manifest is not YAML: %w", document, err)
		}
		if data := bytes.TrimSpace(raw.Raw); len(data) == 0 || bytes.Equal(data, []byte("null")) {
			continue
		}
		found, err := decode(raw.Raw)
		if err != nil {
			return nil, fmt.Errorf("document %d of the manifest: %w", document, err)
		}
		objects = append(objects, found...)
	}
}

func decode(data []byte) ([]*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &obj.Object); err != nil {
		return nil, fmt.Errorf("it is not an object: %w", err)
	}
	return flatten(obj)
}

// flatten returns the items of a list, and any other object as it is.
func flatten(obj *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	if obj.GetKind() == "" || obj.GetAPIVersion() == "" {
		return nil, errors.New("it has no apiVersion or no kind")
	}
	if !obj.IsList() || !strings.HasSuffix(obj.GetKind(), "List") {
		return []*unstructured.Unstructured{obj}, nil
	}
	var objects []*unstructured.Unstructured
	err := obj.EachListItem(func(item runtime.Object) error {
		inner, ok := item.(*unstructured.Unstructured)
		if !ok {
			return errors.New("its list holds something else than objects")
		}
		found, err := flatten(inner)
		objects = append(objects, found...)
		return err
	})
	return objects, err
}

// Locate gives an object the namespace that it is in: the given one if it names
// none, and none if its kind has none. The error is for a kind that the cluster
// does not have.
func Locate(mapper meta.RESTMapper, obj *unstructured.Unstructured, namespace string) (*meta.RESTMapping, error) {
	gvk := obj.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	Place(obj, mapping.Scope, namespace)
	return mapping, nil
}

// Place gives an object of a kind with that scope the namespace that it is in.
func Place(obj *unstructured.Unstructured, scope meta.RESTScope, namespace string) {
	switch {
	case scope.Name() != meta.RESTScopeNameNamespace:
		obj.SetNamespace("")
	case obj.GetNamespace() == "":
		obj.SetNamespace(namespace)
	}
}

// own puts Helm's marks on an object.
func own(obj *unstructured.Unstructured, name, namespace string) {
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[managedByLabel] = managedByHelm
	annotations[releaseNameAnnotation], annotations[releaseNamespaceAnnotation] = name, namespace
	obj.SetLabels(labels)
	obj.SetAnnotations(annotations)
}

// isHook reports whether an object is a hook.
func isHook(obj *unstructured.Unstructured) bool {
	_, ok := obj.GetAnnotations()[hookAnnotation]
	return ok
}

// isMember reports whether Helm has marked an object as part of a release.
func isMember(obj *unstructured.Unstructured) bool {
	return obj.GetAnnotations()[releaseNameAnnotation] != ""
}

// Last returns the objects without those that the list declares again further
// down: Helm writes them one after the other, so that the last one stays.
func Last(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	at := make(map[inventory.Ref]int, len(objects))
	for i, obj := range objects {
		at[inventory.RefOf(obj)] = i
	}
	out := make([]*unstructured.Unstructured, 0, len(objects))
	for i, obj := range objects {
		if obj.GetName() == "" || at[inventory.RefOf(obj)] == i {
			out = append(out, obj)
		}
	}
	return out
}
