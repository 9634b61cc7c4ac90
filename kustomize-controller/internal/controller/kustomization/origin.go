// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/apply"
)

// setOrigins tells the engine which file and line each object was built from,
// so that errors about the object say where to mend it.
func (s *scope) setOrigins(desired []*apply.Desired) {
	origins := make(map[*unstructured.Unstructured]string, len(s.objects))
	for i, obj := range s.objects {
		origins[obj] = s.origins[i]
	}
	for _, d := range desired {
		d.Origin = origins[d.Object]
	}
}
