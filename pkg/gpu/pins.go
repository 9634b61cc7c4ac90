// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// More alternatives or values than these are not looked at: the pod may then
// land anywhere, as far as that label goes.
const (
	maxAlternatives = 16
	maxValues       = 32
)

// pins returns the labels that a node must have for a pod to land there. It
// keeps what says which values a label may have, and drops all else, so that a
// pod is never thought to be kept from a node that it could land on.
func pins(spec *corev1.PodSpec) []map[string][]string {
	base := make(map[string][]string, len(spec.NodeSelector))
	for label, value := range spec.NodeSelector {
		base[label] = []string{value}
	}
	terms := requiredTerms(spec)
	if len(terms) == 0 || len(terms) > maxAlternatives {
		return alternatives([]map[string][]string{base})
	}
	var result []map[string][]string
	for _, term := range terms {
		if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
			// By definition such a term matches no node.
			continue
		}
		if pinned, possible := narrow(base, term.MatchExpressions); possible {
			result = append(result, pinned)
		}
	}
	if len(result) == 0 {
		// It cannot land anywhere, as long as nobody takes that back.
		result = append(result, base)
	}
	return alternatives(result)
}

func requiredTerms(spec *corev1.PodSpec) []corev1.NodeSelectorTerm {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

// narrow returns base with what the requirements say, or false if they
// contradict each other. In gives values; NotIn takes some of those that are
// known. The other operators leave open which value a label has.
func narrow(base map[string][]string, requirements []corev1.NodeSelectorRequirement) (map[string][]string, bool) {
	pinned := make(map[string][]string, len(base)+len(requirements))
	for label, values := range base {
		pinned[label] = slices.Clone(values)
	}
	for _, requirement := range requirements {
		if requirement.Operator != corev1.NodeSelectorOpIn || len(requirement.Values) > maxValues {
			continue
		}
		if values, known := pinned[requirement.Key]; known {
			pinned[requirement.Key] = slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(requirement.Values, v) })
		} else {
			pinned[requirement.Key] = slices.Compact(slices.Sorted(slices.Values(requirement.Values)))
		}
	}
	for _, requirement := range requirements {
		values, known := pinned[requirement.Key]
		switch {
		case known && requirement.Operator == corev1.NodeSelectorOpNotIn:
			pinned[requirement.Key] = slices.DeleteFunc(values, func(v string) bool { return slices.Contains(requirement.Values, v) })
		case known && requirement.Operator == corev1.NodeSelectorOpDoesNotExist:
			pinned[requirement.Key] = nil
		}
	}
	for _, values := range pinned {
		if len(values) == 0 {
			return nil, false
		}
	}
	return pinned, true
}

// alternatives are nil if one of them is no restriction.
func alternatives(all []map[string][]string) []map[string][]string {
	for _, pinned := range all {
		if len(pinned) == 0 {
			return nil
		}
	}
	return all
}
