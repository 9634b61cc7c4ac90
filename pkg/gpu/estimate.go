// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import "math"

// Estimate is what an object asks for through its pods, before there are any.
// It knows no classes, so that those who have the object and those who have the
// classes need not be the same.
type Estimate struct {
	// Groups are the pods. An object that asks for nothing, is suspended or has
	// finished has none.
	Groups []Group `json:"groups,omitempty"`
	// Unknown says why the groups are not all, or not exact: kinds whose pods
	// cannot be told from the object, objects that are not as they should be.
	// Empty: all is known. Its pods are counted when they come.
	Unknown string `json:"unknown,omitempty"`
}

// Group is pods of the same shape.
type Group struct {
	// Shape of each pod.
	Shape Shape `json:"shape"`
	// Min and Max are how many pods there will be. Max is -1 if there is no
	// bound.
	Min int64 `json:"min"`
	Max int64 `json:"max"`
	// Surge is how many pods there are beyond that while a change of the
	// template is rolled out.
	Surge int64 `json:"surge,omitempty"`
	// Stuck: a change of the template cannot even begin without room for at
	// least one pod more, since none of the old ones may go before.
	Stuck bool `json:"stuck,omitempty"`
}

// IsZero reports whether it is known that nothing is asked for.
func (e Estimate) IsZero() bool { return len(e.Groups) == 0 && e.Unknown == "" }

// Amounts returns what the pods count by class, at least and at most, without
// surge. If they are not bounded, or not known, max is only of those that are.
func (e Estimate) Amounts(c *Catalogue) (minimum, maximum Amounts, bounded bool) {
	bounded = e.Unknown == ""
	for _, group := range e.Groups {
		charge := c.Charge(group.Shape, nil)
		if charge.IsZero() {
			continue
		}
		minimum = minimum.Add(charge.Times(group.Min))
		maximum = maximum.Add(charge.Times(max(group.Min, group.Max)))
		bounded = bounded && group.Max >= 0
	}
	return minimum, maximum, bounded
}

// maxCount is the largest number of replicas that Kubernetes has. In a field
// for the most that there may be it stands for no bound.
const maxCount = math.MaxInt32

// times multiplies numbers of pods, which are not negative, and stays at the
// largest number if the product is beyond.
func times(a, b int64) int64 {
	if a > 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}
