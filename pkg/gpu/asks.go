// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Asks reports whether there is anything in a pod that has to do with devices:
// a request, a limit or an overhead in the domain of a vendor or by one of the
// names in more, a claim, or an annotation that asks for a GPU. It goes by
// names only, so that a pod may ask by this and be charged nothing. What it
// does not report, PodShape finds no device in, beside those that only more
// knows. The expression that Expression returns for the same more agrees.
func Asks(pod *corev1.Pod, more ...string) bool {
	if len(pod.Spec.ResourceClaims) > 0 {
		return true
	}
	for _, key := range AnnotationKeys() {
		if _, found := pod.Annotations[key]; found {
			return true
		}
	}
	if asksList(pod.Spec.Overhead, more) {
		return true
	}
	asks := func(c corev1.Container) bool {
		return asksList(c.Resources.Limits, more) || asksList(c.Resources.Requests, more)
	}
	return slices.ContainsFunc(pod.Spec.Containers, asks) || slices.ContainsFunc(pod.Spec.InitContainers, asks)
}

func asksList(list corev1.ResourceList, more []string) bool {
	for name := range list {
		if ofVendor(string(name)) || slices.Contains(more, string(name)) {
			return true
		}
	}
	return false
}

// Expression returns the text of a CEL expression over the variable object, a
// Pod, that says what Asks says, for the matchConditions of webhooks and
// policies. More are resources that classes name and no vendor is known for;
// Catalogue.Extra has them. The same more, in any order, gives the same text.
func Expression(more ...string) string {
	names := slices.Clone(table.names)
	for _, name := range more {
		if !ofVendor(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	known := list(table.domains) + ".exists(p, k.startsWith(p)) || k in " + list(names)
	return "size(object.spec.?resourceClaims.orValue([])) > 0" +
		" || object.metadata.?annotations.orValue({}).exists(k, k in " + list(AnnotationKeys()) + ")" +
		" || object.spec.?overhead.orValue({}).exists(k, " + known + ")" +
		" || (object.spec.?containers.orValue([]) + object.spec.?initContainers.orValue([])).exists(c," +
		" c.?resources.?limits.orValue({}).exists(k, " + known + ")" +
		" || c.?resources.?requests.orValue({}).exists(k, " + known + "))"
}

// list writes strings as a list of CEL.
func list(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = strconv.QuoteToASCII(value)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
