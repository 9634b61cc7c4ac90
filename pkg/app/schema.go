// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// schemaPoll is how often a CRD is looked at again that is missing or foreign.
const schemaPoll = 5 * time.Second

// AwaitSchema returns once the live CRD has the given path of fields in its
// schema, such as "spec", "weir". Until then it says why it waits, once per
// reason: a CRD without Weir's fields would silently drop them, so the kind is
// not reconciled. It returns false if ctx ended before.
func AwaitSchema(ctx context.Context, reader client.Reader, log logr.Logger, crd, version string, path ...string) bool {
	said := ""
	err := wait.PollUntilContextCancel(ctx, schemaPoll, true, func(ctx context.Context) (bool, error) {
		missing := missingField(ctx, reader, crd, version, path)
		if missing != "" && missing != said {
			log.Info("not reconciling: " + missing)
			said = missing
		}
		return missing == "", nil
	})
	return err == nil
}

func missingField(ctx context.Context, reader client.Reader, name, version string, path []string) string {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
		return fmt.Sprintf("CustomResourceDefinition %s cannot be read: %v", name, err)
	}
	i := slices.IndexFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == version })
	if i < 0 {
		return fmt.Sprintf("CustomResourceDefinition %s has no version %s; apply Weir's", name, version)
	}
	schema := apiextensionsv1.JSONSchemaProps{}
	if whole := crd.Spec.Versions[i].Schema; whole != nil && whole.OpenAPIV3Schema != nil {
		schema = *whole.OpenAPIV3Schema
	}
	for depth, field := range path {
		next, ok := schema.Properties[field]
		if !ok {
			return fmt.Sprintf("CustomResourceDefinition %s has no field %s; apply Weir's, or accept this one with --accept-flux-crds", name, strings.Join(path[:depth+1], "."))
		}
		schema = next
	}
	return ""
}
