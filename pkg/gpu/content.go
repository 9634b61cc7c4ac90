// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// clip keeps names that others chose short in texts.
func clip(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}

// find returns what is at a path, or nil.
func find(root, item map[string]any, p path) (any, error) {
	content := item
	if p.root {
		content = root
	}
	var value any = content
	for i, key := range p.keys {
		switch parent := value.(type) {
		case nil:
			return nil, nil
		case map[string]any:
			value = parent[key]
		default:
			return nil, fmt.Errorf("%s: it is not an object", strings.Join(p.keys[:i], "."))
		}
	}
	return value, nil
}

// object returns the object at a path, nil if there is none.
func object(root, item map[string]any, p path) (map[string]any, error) {
	value, err := find(root, item, p)
	if value == nil || err != nil {
		return nil, err
	}
	content, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: it is not an object", p.text)
	}
	return content, nil
}

// present reports whether there is something at a path that is not empty.
func present(root, item map[string]any, p path) bool {
	return !p.empty() && text(root, item, p) != ""
}

// text returns a scalar at a path as text: empty if there is nothing, or
// nothing in it.
func text(root, item map[string]any, p path) string {
	value, err := find(root, item, p)
	if err != nil {
		return ""
	}
	switch value := value.(type) {
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case map[string]any:
		if len(value) > 0 {
			return "{…}"
		}
	case []any:
		if len(value) > 0 {
			return "[…]"
		}
	case int64, float64:
		return fmt.Sprint(value)
	}
	return ""
}

func anyTrue(root, item map[string]any, paths []path) bool {
	for _, p := range paths {
		if text(root, item, p) == "true" {
			return true
		}
	}
	return false
}

func (t *compiledTest) holds(root, item map[string]any) bool {
	return t.values[text(root, item, t.path)] != t.not
}

// number reads a number of pods.
func number(value any) (int64, error) {
	switch n := value.(type) {
	case int64:
		return clamp(n), nil
	case int:
		return clamp(int64(n)), nil
	case float64:
		if n == math.Trunc(n) && math.Abs(n) <= math.MaxInt32 {
			return clamp(int64(n)), nil
		}
	}
	return 0, errors.New("it is not a whole number of pods")
}

// clamp brings a number of pods into the range that Kubernetes has.
func clamp(n int64) int64 { return min(max(n, 0), maxCount) }
