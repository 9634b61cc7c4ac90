// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"maps"
	"slices"
)

// maxPlaces is how many kinds of nodes are told apart for each alternative that
// a pod has. Labels beyond that are taken as open, which can only charge more.
const maxPlaces = 64

// Charge returns what a pod of a shape counts, by class.
//
// Node has the labels of the node that the pod is bound to: an empty map if it
// has none, nil if the pod is not bound or is none yet.
//
// A pod that is not bound counts for every class that it could land on, for
// each with the largest that it could be there; which it could, its Pins say.
// One that is bound counts at its node:
//
//   - for the classes whose labels the node has; of several sizes of a class
//     the one with the most labels, and of those the largest;
//   - if there are none, for the classes without labels;
//   - if there are none either, for the classes whose labels the node lacks
//     without having another value: a label that is missing, because whatever
//     sets it has not run, makes no device free.
func (c *Catalogue) Charge(s Shape, node map[string]string) Amounts {
	if len(s.Resources) == 0 {
		return nil
	}
	var result Amounts
	for _, place := range c.places(s, node) {
		at := Amounts{}
		for resource, asked := range s.Resources {
			for class, units := range choose(c.of(resource), place, node != nil) {
				at[class] = at[class].Add(asked.of(units))
			}
		}
		result = result.Max(at)
	}
	return result
}

// Unknown returns the resources of vendors in a shape, sorted, that are charged
// to no class wherever the pod may land, although they are devices as far as
// anyone knows.
func (c *Catalogue) Unknown(s Shape) []string { return c.UnknownAt(s, nil) }

// UnknownAt is Unknown for a pod that is bound to a node with these labels.
func (c *Catalogue) UnknownAt(s Shape, node map[string]string) []string {
	var unknown []string
	for resource := range s.Resources {
		if table.others[resource] || !ofVendor(resource) && resource != FractionResource && resource != MemoryResource {
			continue
		}
		entries := c.of(resource)
		charged := slices.ContainsFunc(c.places(s, node), func(place map[string]string) bool {
			return len(choose(entries, place, node != nil)) > 0
		})
		if !charged {
			unknown = append(unknown, resource)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// places returns what is known of the labels of the nodes on which a pod could
// be, of those labels that make a difference: the node, or each combination of
// the values that its pins leave.
func (c *Catalogue) places(s Shape, node map[string]string) []map[string]string {
	switch {
	case node != nil:
		return []map[string]string{node}
	case len(s.Pins) == 0 || len(c.labels) == 0:
		return []map[string]string{nil}
	}
	var places []map[string]string
	for _, pinned := range s.Pins {
		combined := []map[string]string{{}}
		for _, label := range c.labels {
			if values := pinned[label]; len(values) > 0 && len(values)*len(combined) <= maxPlaces {
				combined = combine(combined, label, values)
			}
		}
		places = append(places, combined...)
	}
	return places
}

func combine(places []map[string]string, label string, values []string) []map[string]string {
	combined := make([]map[string]string, 0, len(places)*len(values))
	for _, place := range places {
		for _, value := range values {
			with := maps.Clone(place)
			with[label] = value
			combined = append(combined, with)
		}
	}
	return combined
}

// choose returns how much one of a resource is at a place, by class. Bound says
// that the place has all labels that the node has.
func choose(entries []entry, place map[string]string, bound bool) map[string]Amount {
	var sure, plain, open []entry
	for _, e := range entries {
		switch has, could := e.at(place); {
		case len(e.labels) == 0:
			plain = append(plain, e)
		case has:
			sure = append(sure, e)
		case could:
			open = append(open, e)
		}
	}
	chosen := mostSpecific(sure)
	if len(chosen) == 0 {
		chosen = plain
	}
	if !bound || len(chosen) == 0 {
		chosen = append(slices.Clip(chosen), open...)
	}
	units := make(map[string]Amount, len(chosen))
	for _, e := range chosen {
		units[e.class] = Max(units[e.class], e.units)
	}
	return units
}

// at says whether a place has the labels of an entry, and whether it could if
// labels that it lacks are only not known.
func (e entry) at(place map[string]string) (has, could bool) {
	has = true
	for label, want := range e.labels {
		value, known := place[label]
		if known && value != want {
			return false, false
		}
		has = has && known
	}
	return has, true
}

// mostSpecific keeps, of each class, the entries with the most labels.
func mostSpecific(entries []entry) []entry {
	most := make(map[string]int, len(entries))
	for _, e := range entries {
		most[e.class] = max(most[e.class], len(e.labels))
	}
	return slices.DeleteFunc(entries, func(e entry) bool { return len(e.labels) < most[e.class] })
}
