// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"strings"
)

// maxNamed is how many objects a message names.
const maxNamed = 5

// Refusal is the message of a revision of which nothing is applied. Kind is that
// of the owner, and objects how many the revision has.
func Refusal(kind, revision, why string, change Change, objects int) string {
	growers := change.Growers()
	message := fmt.Sprintf("revision %s is not applied: %s; it adds to %s", revision, why, Listed(growers))
	if objects > len(growers) {
		message += "; in a " + kind + " of their own these would not hold up the rest"
	}
	return message
}

// Growers names, sorted, the objects that ask for more than before.
func (c Change) Growers() []string { return c.named(Object.Grows) }

// Shrinkers names, sorted, the objects that ask for less than before.
func (c Change) Shrinkers() []string { return c.named(Object.Shrinks) }

func (c Change) named(which func(Object) bool) []string {
	var names []string
	for _, object := range c.Objects {
		if which(object) {
			names = append(names, NameOfKey(object.Key))
		}
	}
	slices.Sort(names)
	return names
}

// Listed names the first few, and how many more there are.
func Listed(names []string) string {
	if rest := len(names) - maxNamed; rest > 0 {
		names = append(names[:maxNamed:maxNamed], fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(names, ", ")
}

// NameOfKey is an object as messages name it: Kind/namespace/name.
func NameOfKey(key string) string {
	_, name, _ := strings.Cut(key, "/")
	return name
}
