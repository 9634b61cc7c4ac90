// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package message writes commit messages: the text of the user's template, and trailers that say for later what was
// committed and why.
package message

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Data is what a template sees. Names and shape are those of Flux.
type Data struct {
	// AutomationObject is the automation that commits.
	AutomationObject types.NamespacedName
	// Changed is what it changes.
	Changed Changed
	// Values are spec.git.commit.messageTemplateValues.
	Values map[string]string
}

// Changed is what one commit changes. Only Add may be used to fill it.
type Changed struct {
	// FileChanges are the changes by file, relative to update.path, and object.
	FileChanges map[string]ObjectChanges

	// What the methods return, computed once: a template may call them in a loop.
	objects ObjectChanges
	changes []Change
	frozen  bool
}

// ObjectChanges are changes by object.
type ObjectChanges map[ObjectIdentifier][]Change

// ObjectIdentifier says which object a change is in. A template reads .APIVersion, .Kind, .Name and .Namespace. All are
// empty for a file that is no object.
type ObjectIdentifier struct {
	ResourceIdentifier
}

// ResourceIdentifier is a part of ObjectIdentifier.
type ResourceIdentifier struct {
	TypeMeta
	NameMeta
}

// TypeMeta is a part of ObjectIdentifier.
type TypeMeta struct {
	APIVersion, Kind string
}

// NameMeta is a part of ObjectIdentifier.
type NameMeta struct {
	Name, Namespace string
}

// Object returns an identifier.
func Object(apiVersion, kind, namespace, name string) ObjectIdentifier {
	return ObjectIdentifier{ResourceIdentifier{TypeMeta{apiVersion, kind}, NameMeta{name, namespace}}}
}

// Change is the change of one field.
type Change struct {
	// OldValue and NewValue are what the field held and holds.
	OldValue, NewValue string
	// Setter is what the field's marker refers to, its part included.
	Setter string
}

// Add appends changes of an object in a file.
func (c *Changed) Add(file string, object ObjectIdentifier, changes ...Change) {
	if c.FileChanges == nil {
		c.FileChanges = map[string]ObjectChanges{}
	}
	if c.FileChanges[file] == nil {
		c.FileChanges[file] = ObjectChanges{}
	}
	c.FileChanges[file][object] = append(c.FileChanges[file][object], changes...)
}

// Changes returns each change once, sorted.
func (c Changed) Changes() []Change {
	if c.frozen {
		return c.changes
	}
	var all []Change
	for _, objects := range c.FileChanges {
		for _, changes := range objects {
			all = append(all, changes...)
		}
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Setter, b.Setter), cmp.Compare(a.OldValue, b.OldValue), cmp.Compare(a.NewValue, b.NewValue))
	})
	return slices.Compact(all)
}

// Objects returns the changes by object, whatever file it is in.
func (c Changed) Objects() ObjectChanges {
	if c.frozen {
		return c.objects
	}
	all := ObjectChanges{}
	for _, file := range slices.Sorted(maps.Keys(c.FileChanges)) {
		for object, changes := range c.FileChanges[file] {
			all[object] = append(all[object], changes...)
		}
	}
	return all
}

// maxBody bounds a value of a file or a registry in the text of a message, in bytes.
const maxBody = 512

// printable returns a copy in which nothing that comes from files or registries is more than one printable line.
func (c Changed) printable() Changed {
	line := func(s string) string { return oneLine(s, maxBody) }
	clean := Changed{FileChanges: map[string]ObjectChanges{}}
	for file, objects := range c.FileChanges {
		for object, changes := range objects {
			id := Object(line(object.APIVersion), line(object.Kind), line(object.Namespace), line(object.Name))
			for _, change := range changes {
				clean.Add(line(file), id, Change{line(change.OldValue), line(change.NewValue), line(change.Setter)})
			}
		}
	}
	clean.objects, clean.changes, clean.frozen = clean.Objects(), clean.Changes(), true
	return clean
}
