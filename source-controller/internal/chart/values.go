// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"maps"

	"sigs.k8s.io/yaml"
)

// mergeValues merges files of values in their order and returns the result, and
// which of them there were. Of maps, keys are merged; all else is replaced.
func mergeValues(paths []string, read func(path string) ([]byte, bool), ignoreMissing bool) (content []byte, used []string, err error) {
	merged := map[string]any{}
	for _, path := range paths {
		text, found := read(path)
		if !found && ignoreMissing {
			continue
		}
		if !found {
			return nil, nil, failf(ValuesFiles, "no values file found at path '%s'", shorten(path))
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, nil, failf(ValuesFiles, "the values of '%s' are not a YAML map: %w", shorten(path), err)
		}
		merged = merge(merged, values)
		used = append(used, path)
	}
	if len(merged) == 0 {
		return []byte{}, used, nil
	}
	content, err = yaml.Marshal(merged)
	if err != nil {
		return nil, nil, &Error{Reason: ValuesFiles, Err: fmt.Errorf("write the merged values: %w", err)}
	}
	return content, used, nil
}

// merge returns base with the keys of over.
func merge(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	for key, value := range over {
		inner, isMap := value.(map[string]any)
		below, wasMap := out[key].(map[string]any)
		if isMap && wasMap {
			value = merge(below, inner)
		}
		out[key] = value
	}
	return out
}
