// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package exemption

import (
	"fmt"

	"github.com/weir-gitops/weir/api/meta"
)

// FromSpec compiles the rules of a spec. The error names the field, which begins
// with the path of the list.
func FromSpec(field string, rules []meta.IgnoreRule) (*Rules, error) {
	list := make([]Rule, len(rules))
	for i, rule := range rules {
		list[i].Paths = rule.Paths
		if target := rule.Target; target != nil {
			list[i].Target = Target{
				Group: target.Group, Version: target.Version, Kind: target.Kind, Namespace: target.Namespace, Name: target.Name,
				LabelSelector: target.LabelSelector, AnnotationSelector: target.AnnotationSelector,
			}
		}
	}
	compiled, err := Compile(list)
	if err != nil {
		return nil, fmt.Errorf("%s%w", field, err)
	}
	return compiled, nil
}
