// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package alerts

import (
	"regexp"
	"slices"
	"strings"
)

// metric matches the metrics that rules ask for; a name with an underscore in it is
// nothing else in an expression of theirs, but for functions.
var metric = regexp.MustCompile(`\b(weir|gpuquota|gotk|workqueue|apiserver)_[a-z_]+\b`)

// Metrics returns the metrics that an expression asks for, sorted. Of a
// histogram it is the name without what the parts of it end with.
func Metrics(expr string) []string {
	names := metric.FindAllString(expr, -1)
	for i, name := range names {
		if !strings.HasSuffix(name, "_rejection_count") {
			names[i] = strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
