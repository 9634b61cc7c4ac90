// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What an earlier revision had is deleted with the release only if it carries the
// marks of this very release, and does not ask to be kept.
func TestWhatBelongsToARelease(t *testing.T) {
	c := &client{name: "web", namespace: "team"}
	for name, tc := range map[string]struct {
		annotations map[string]string
		want        bool
	}{
		"ours":          {map[string]string{nameAnnotation: "web", namespaceAnnotation: "team"}, true},
		"nobody's":      {nil, false},
		"another name":  {map[string]string{nameAnnotation: "other", namespaceAnnotation: "team"}, false},
		"another place": {map[string]string{nameAnnotation: "web", namespaceAnnotation: "other"}, false},
		"to be kept":    {map[string]string{nameAnnotation: "web", namespaceAnnotation: "team", "helm.sh/resource-policy": "keep"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			live := &unstructured.Unstructured{Object: map[string]any{}}
			live.SetAnnotations(tc.annotations)
			if got := c.owns(live); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}
