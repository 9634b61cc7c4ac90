// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	yaml2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
)

// ConfigDigest returns the digest of values that status.history and
// status.lastAttemptedConfigDigest hold: of their YAML with sorted keys, or of
// nothing if there are none. Numbers are best float64, as JSON is read: Flux
// knows no others.
func ConfigDigest(values map[string]any) string {
	return digestOf(func(into io.Writer) error {
		if len(values) == 0 {
			return nil
		}
		ordered := yaml.JSONObjectToYAMLObject(values)
		order(ordered)
		return yaml2.NewEncoder(into).Encode(ordered)
	})
}

// order sorts keys at every depth.
func order(value any) {
	switch v := value.(type) {
	case yaml2.MapSlice:
		slices.SortFunc(v, func(a, b yaml2.MapItem) int { return strings.Compare(keyOf(a), keyOf(b)) })
		for i := range v {
			order(v[i].Value)
		}
	case []any:
		for i := range v {
			order(v[i])
		}
	}
}

func keyOf(item yaml2.MapItem) string {
	key, _ := item.Key.(string)
	return key
}

// PostRenderersDigest returns the digest of post-renderers that
// status.observedPostRenderersDigest holds. It is empty without any.
func PostRenderersDigest(renderers []helmv2.PostRenderer) string {
	if renderers == nil {
		return ""
	}
	return digestOf(func(into io.Writer) error { return json.NewEncoder(into).Encode(renderers) })
}

// CommonMetadataDigest returns the digest of common metadata that
// status.observedCommonMetadataDigest holds. It is empty without any.
func CommonMetadataDigest(common *meta.CommonMetadata) string {
	if common == nil {
		return ""
	}
	return digestOf(func(into io.Writer) error { return json.NewEncoder(into).Encode(common) })
}
