// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// MaxPathBytes is how long a path may get before its parent stands for it.
// Names of fields can be as long as an object.
const MaxPathBytes = 256

// Format writes a path as people read it, cut off at the element that would
// make it longer than 256 bytes. Of an item of a set, which is nothing but a
// value, it names the set.
func Format(path fieldpath.Path) string {
	var text strings.Builder
	for _, element := range path {
		next := formatElement(element)
		if next == "" {
			break
		}
		if text.Len() > 0 && !strings.HasPrefix(next, "[") {
			next = "." + next
		}
		if text.Len()+len(next) > MaxPathBytes {
			break
		}
		text.WriteString(next)
	}
	if text.Len() == 0 {
		return "."
	}
	return text.String()
}

// formatElement writes one step of a path: a name, or something in brackets.
func formatElement(element fieldpath.PathElement) string {
	switch {
	case element.FieldName != nil:
		if isPlain(*element.FieldName, "-_") {
			return *element.FieldName
		}
		return "[" + strconv.Quote(*element.FieldName) + "]"
	case element.Key != nil:
		keys := make([]string, len(*element.Key))
		for i, field := range *element.Key {
			keys[i] = quoted(field.Name, "-_") + "=" + formatKey(field.Value.Unstructured())
		}
		return "[" + strings.Join(keys, ",") + "]"
	case element.Index != nil:
		return "[" + strconv.Itoa(*element.Index) + "]"
	}
	return "" // an item of a set is nothing but a value
}

func formatKey(v any) string {
	if text, ok := v.(string); ok {
		return quoted(text, "-_./:")
	}
	return fmt.Sprint(v)
}

// quoted returns a text as it is if it cannot be mistaken, and else in quotes.
func quoted(text, marks string) string {
	if isPlain(text, marks) {
		return text
	}
	return strconv.Quote(text)
}

// isPlain reports whether text has only ASCII letters, digits and the marks.
func isPlain(text, marks string) bool {
	for _, r := range text {
		isLetter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !isLetter && (r < '0' || r > '9') && !strings.ContainsRune(marks, r) {
			return false
		}
	}
	return text != ""
}
