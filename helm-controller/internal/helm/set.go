// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"helm.sh/helm/v3/pkg/strvals"
)

// SetValue puts a value at a path of values, given as path=value, as "helm --set"
// does, or as "helm --set-string" if text is set.
func SetValue(values map[string]any, assignment string, text bool) error {
	if text {
		return strvals.ParseIntoString(assignment, values)
	}
	return strvals.ParseInto(assignment, values)
}
