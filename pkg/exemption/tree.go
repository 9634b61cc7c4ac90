// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package exemption

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Tree holds pointers so that they can be followed along an object. A nil
// *Tree has none.
type Tree struct {
	ends  bool
	below map[string]*Tree
}

// NewTree returns the tree of some pointers, or nil if there are none.
func NewTree(pointers []Pointer) *Tree {
	if len(pointers) == 0 {
		return nil
	}
	root := &Tree{}
	for _, pointer := range pointers {
		at := root
		for _, token := range pointer {
			if at.below == nil {
				at.below = map[string]*Tree{}
			}
			if at.below[token] == nil {
				at.below[token] = &Tree{}
			}
			at = at.below[token]
		}
		at.ends = true
	}
	return root
}

// Ends reports whether a pointer ends here: what is here is exempt.
func (t *Tree) Ends() bool { return t != nil && t.ends }

// Below follows one token.
func (t *Tree) Below(token string) *Tree {
	if t == nil {
		return nil
	}
	return t.below[token]
}

// Along follows one key of managedFields from the given value: f:<field>,
// k:<key fields of a list item>, v:<value of a set>, i:<index>. The key "."
// stands for the value itself.
func (t *Tree) Along(key string, from any) *Tree {
	if t == nil {
		return nil
	}
	kind, name, _ := strings.Cut(key, ":")
	switch kind {
	case "f":
		return t.below[name]
	case "k":
		return t.item(Find(from, name))
	case "v":
		return t.item(findScalar(from, name))
	case "i":
		return t.below[name]
	}
	return nil
}

func (t *Tree) item(index int) *Tree {
	if index < 0 {
		return nil
	}
	return t.below[strconv.Itoa(index)]
}

// Covers reports whether a path of obj is exempt, or below one that is.
func (t *Tree) Covers(path fieldpath.Path, obj any) bool {
	for _, element := range path {
		if t == nil {
			return false
		}
		var index int
		switch {
		case element.FieldName != nil:
			fields, _ := obj.(map[string]any)
			t, obj = t.below[*element.FieldName], fields[*element.FieldName]
			if t.Ends() {
				return true
			}
			continue
		case element.Key != nil:
			index = indexOf(obj, func(item any) bool {
				fields, ok := item.(map[string]any)
				return ok && !slices.ContainsFunc(*element.Key, func(f value.Field) bool { return !SameScalar(fields[f.Name], f.Value.Unstructured()) })
			})
		case element.Value != nil:
			index = indexOf(obj, func(item any) bool { return SameScalar(item, (*element.Value).Unstructured()) })
		case element.Index != nil:
			index = *element.Index
		}
		list, _ := obj.([]any)
		if index < 0 || index >= len(list) {
			return false
		}
		t, obj = t.item(index), list[index]
		if t.Ends() {
			return true
		}
	}
	return false
}

// Find returns the index of the item of a list whose fields are those of a
// JSON object, or -1.
func Find(list any, keyJSON string) int {
	var keys map[string]any
	if json.Unmarshal([]byte(keyJSON), &keys) != nil {
		return -1
	}
	return indexOf(list, func(item any) bool {
		fields, ok := item.(map[string]any)
		if !ok {
			return false
		}
		for name, want := range keys {
			if !SameScalar(fields[name], want) {
				return false
			}
		}
		return true
	})
}

func findScalar(list any, scalarJSON string) int {
	var want any
	if json.Unmarshal([]byte(scalarJSON), &want) != nil {
		return -1
	}
	return indexOf(list, func(item any) bool { return SameScalar(item, want) })
}

func indexOf(list any, is func(any) bool) int {
	items, _ := list.([]any)
	return slices.IndexFunc(items, is)
}

// SameScalar compares JSON values that are no lists or objects. Numbers may be
// int64 on one side and float64 on the other.
func SameScalar(a, b any) bool {
	x, xIsNumber := Number(a)
	y, yIsNumber := Number(b)
	if xIsNumber && yIsNumber {
		return x == y
	}
	switch a.(type) {
	case string, bool, nil:
		return a == b
	}
	return false
}

// Number returns the value of a JSON number.
func Number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
