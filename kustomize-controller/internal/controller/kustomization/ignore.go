// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"fmt"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/exemption"
)

// exemptions compiles spec.ignore. An error names the field at fault.
func exemptions(rules []meta.IgnoreRule) (*exemption.Rules, error) {
	list := make([]exemption.Rule, len(rules))
	for i, rule := range rules {
		list[i].Paths = rule.Paths
		if target := rule.Target; target != nil {
			list[i].Target = exemption.Target{
				Group: target.Group, Version: target.Version, Kind: target.Kind, Namespace: target.Namespace, Name: target.Name,
				LabelSelector: target.LabelSelector, AnnotationSelector: target.AnnotationSelector,
			}
		}
	}
	compiled, err := exemption.Compile(list)
	if err != nil {
		return nil, fmt.Errorf("spec.ignore%w", err)
	}
	return compiled, nil
}
