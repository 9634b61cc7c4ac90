// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// Inventory lists the objects of a release: those of its manifest without hooks,
// and what is in the directory crds of the chart. Objects without a namespace are
// in that of the release, if their kind has namespaces; where the cluster does
// not know the kind, a warning says that none was given.
func Inventory(mapper meta.RESTMapper, namespace, manifest string, crds []File) (inv inventory.Inventory, warnings []string, err error) {
	objects, err := members(manifest)
	if err != nil {
		return nil, nil, err
	}
	for _, obj := range objects {
		if _, err := Locate(mapper, obj, namespace); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s %s: cannot tell whether the kind has namespaces: %s", obj.GetKind(), obj.GetName(), err))
		}
	}
	for _, file := range crds {
		found, err := Decode(bytes.NewReader(file.Data))
		if err != nil {
			return nil, warnings, fmt.Errorf("read %s of the chart: %w", file.Name, err)
		}
		objects = append(objects, found...)
	}
	return inventoryOf(objects), warnings, nil
}

// members reads the objects of the manifest of a release that are no hooks.
func members(manifest string) ([]*unstructured.Unstructured, error) {
	objects, err := Decode(strings.NewReader(manifest))
	return slices.DeleteFunc(objects, isHook), err
}
