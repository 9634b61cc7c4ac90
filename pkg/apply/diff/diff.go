// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package diff tells which fields two versions of an object differ in, without
// telling their values.
package diff

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// MaxPaths is how many paths Paths returns at most.
const MaxPaths = 100

// Paths returns the paths of the fields that differ between a live object
// and what an apply would make of it, or has made of it: changed, added and
// removed ones, without their values. The order is stable. Beyond MaxPaths they
// are only counted. It changes neither object and is pure.
//
// A path reads spec.template.spec.containers[name=server].image: names that
// hold other characters than letters, digits, "-" and "_" are quoted in
// brackets, items of a list are named by the keys that managedFields use, and
// by their index where there are none. Of a list of plain values that is a set,
// of what was added or removed as a whole, and of a path over 256 bytes, the
// outermost field is named. What the API server keeps account of (status,
// managedFields, resourceVersion, generation, uid and the like) does not count.
func Paths(live, outcome *unstructured.Unstructured) (paths []string, omitted int) {
	w := &differ{}
	claims := allClaims(live).Union(allClaims(outcome))
	for _, name := range bothKeys(live.Object, outcome.Object) {
		below := fieldpath.FieldNameElement(name)
		switch name {
		case "apiVersion", "kind", "status":
		case "metadata":
			w.metadata(fieldpath.Path{below}, mapOf(live.Object[name]), mapOf(outcome.Object[name]), claims.WithPrefix(below))
		default:
			w.compare(fieldpath.Path{below}, live.Object[name], outcome.Object[name], claims.WithPrefix(below))
		}
	}
	return w.paths, w.omitted
}

// differ walks two objects side by side.
type differ struct {
	paths   []string
	omitted int
}

// metadata compares what an applier sets of the metadata.
func (w *differ) metadata(path fieldpath.Path, before, after map[string]any, claims *fieldpath.Set) {
	for _, name := range []string{"annotations", "finalizers", "labels", "ownerReferences"} {
		below := fieldpath.FieldNameElement(name)
		at := child(path, below)
		if name == "labels" || name == "annotations" {
			w.maps(at, mapOf(before[name]), mapOf(after[name]), claims.WithPrefix(below))
			continue
		}
		w.compare(at, before[name], after[name], claims.WithPrefix(below))
	}
}

// openDepth is how deep below the root a map that is there on one side only is
// still looked into: "data.key" tells more than "data".
const openDepth = 2

// compare adds the paths at and below path that differ. A field that is null
// is one that is not there.
func (w *differ) compare(path fieldpath.Path, before, after any, claims *fieldpath.Set) {
	x, xIsMap := before.(map[string]any)
	y, yIsMap := after.(map[string]any)
	xs, xIsList := before.([]any)
	ys, yIsList := after.([]any)
	switch {
	case xIsMap && yIsMap, len(path) <= openDepth && (len(x) > 0 && after == nil || len(y) > 0 && before == nil):
		w.maps(path, x, y, claims)
	case xIsList && yIsList:
		w.lists(path, xs, ys, claims)
	case xIsMap || yIsMap || xIsList || yIsList || !sameScalar(before, after):
		w.add(path)
	}
}

func (w *differ) maps(path fieldpath.Path, before, after map[string]any, claims *fieldpath.Set) {
	for _, name := range bothKeys(before, after) {
		below := fieldpath.FieldNameElement(name)
		w.compare(child(path, below), before[name], after[name], claims.WithPrefix(below))
	}
}

// lists compares items by their keys if the list has some, and else by index.
// A set is named as a whole, since its items are nothing but values.
func (w *differ) lists(path fieldpath.Path, before, after []any, claims *fieldpath.Set) {
	found := w.found()
	keys, isSet := listType(claims)
	left, leftOrder, leftOK := byKeys(before, keys)
	right, rightOrder, rightOK := byKeys(after, keys)
	var same bool
	switch {
	case isSet:
		inside := &differ{}
		inside.items(path, before, after, claims)
		same = inside.found() == 0 && len(before) == len(after)
	case leftOK && rightOK:
		for _, id := range bothKeys(left, right) {
			element := left[id].element
			if _, there := left[id]; !there {
				element = right[id].element
			}
			w.compare(child(path, element), left[id].value, right[id].value, claims.WithPrefix(element))
		}
		same = slices.Equal(leftOrder, rightOrder)
	default:
		w.items(path, before, after, claims)
		same = len(before) == len(after)
	}
	if !same && w.found() == found {
		w.add(path)
	}
}

// items compares two lists by index.
func (w *differ) items(path fieldpath.Path, before, after []any, claims *fieldpath.Set) {
	for i := range max(len(before), len(after)) {
		element := fieldpath.IndexElement(i)
		w.compare(child(path, element), at(before, i), at(after, i), claims.WithPrefix(element))
	}
}

func (w *differ) found() int { return len(w.paths) + w.omitted }

// add notes a path, once.
func (w *differ) add(path fieldpath.Path) {
	text := Format(path)
	switch n := len(w.paths); {
	case n > 0 && w.paths[n-1] == text:
	case n >= MaxPaths:
		w.omitted++
	default:
		w.paths = append(w.paths, text)
	}
}

// keyed is an item of a list, and how it is named.
type keyed struct {
	element fieldpath.PathElement
	value   any
}

// byKeys names each item of a list by the given fields. It fails if there are
// none, or if an item lacks one of them or is not the only one of its name.
func byKeys(list []any, keys []string) (items map[string]keyed, order []string, ok bool) {
	if len(keys) == 0 {
		return nil, nil, false
	}
	items = make(map[string]keyed, len(list))
	for _, item := range list {
		element, ok := keyElement(item, keys)
		if !ok {
			return nil, nil, false
		}
		id := formatElement(element)
		if _, twice := items[id]; twice {
			return nil, nil, false
		}
		items[id] = keyed{element, item}
		order = append(order, id)
	}
	return items, order, true
}

func keyElement(item any, keys []string) (fieldpath.PathElement, bool) {
	object := mapOf(item)
	fields := make(value.FieldList, 0, len(keys))
	for _, name := range keys {
		switch v := object[name].(type) {
		case string, bool, int64, float64:
			fields = append(fields, value.Field{Name: name, Value: value.NewValueInterface(v)})
		default:
			return fieldpath.PathElement{}, false
		}
	}
	return fieldpath.PathElement{Key: &fields}, true
}

// listType tells from the claims on a list what its items are known by: the
// names of their keys, or that it is a set.
func listType(claims *fieldpath.Set) (keys []string, isSet bool) {
	look := func(element fieldpath.PathElement) {
		switch {
		case element.Value != nil:
			isSet = true
		case element.Key != nil && keys == nil:
			for _, field := range *element.Key {
				keys = append(keys, field.Name)
			}
		}
	}
	claims.Members.Iterate(look)
	claims.Children.Iterate(look)
	return keys, isSet
}

// allClaims returns what any manager claims of an object.
func allClaims(obj *unstructured.Unstructured) *fieldpath.Set {
	all := fieldpath.NewSet()
	for _, entry := range obj.GetManagedFields() {
		all = all.Union(Claims(entry))
	}
	return all
}

// Claims returns the fields that an entry of managedFields claims, none if it
// cannot be read.
func Claims(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
	set := &fieldpath.Set{}
	if entry.FieldsV1 == nil || set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())) != nil {
		return fieldpath.NewSet()
	}
	return set
}

// sameScalar compares plain values. Numbers may be int64 on one side and
// float64 on the other.
func sameScalar(a, b any) bool {
	switch x := a.(type) {
	case int64:
		switch y := b.(type) {
		case int64:
			return x == y
		case float64:
			return float64(x) == y
		}
		return false
	case float64:
		switch y := b.(type) {
		case int64:
			return x == float64(y)
		case float64:
			return cmp.Compare(x, y) == 0
		}
		return false
	case string, bool, nil:
		return a == b
	}
	return false
}

func bothKeys[V any](a, b map[string]V) []string {
	keys := make(map[string]struct{}, len(a))
	for key := range a {
		keys[key] = struct{}{}
	}
	for key := range b {
		keys[key] = struct{}{}
	}
	return slices.Sorted(maps.Keys(keys))
}

func mapOf(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func child(path fieldpath.Path, element fieldpath.PathElement) fieldpath.Path {
	return append(slices.Clip(path), element)
}
