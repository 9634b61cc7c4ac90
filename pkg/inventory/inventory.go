// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package inventory names the objects that an applier answers for, in the
// format that Flux writes to the status of Kustomizations and HelmReleases.
package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref identifies one object of a cluster, whatever the version of its API.
type Ref struct {
	Namespace, Name, Group, Kind string
}

// RefOf returns the Ref of an object.
func RefOf(obj *unstructured.Unstructured) Ref {
	gk := obj.GroupVersionKind().GroupKind()
	return Ref{Namespace: obj.GetNamespace(), Name: obj.GetName(), Group: gk.Group, Kind: gk.Kind}
}

// GroupKind of the object.
func (r Ref) GroupKind() schema.GroupKind {
	return schema.GroupKind{Group: r.Group, Kind: r.Kind}
}

// String is how messages name the object: Kind/namespace/name.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + "/" + r.Name
	}
	return r.Kind + "/" + r.Namespace + "/" + r.Name
}

// ID is <namespace>_<name>_<group>_<kind>. The names of RBAC objects may hold
// colons, which are written as two underscores.
func (r Ref) ID() string {
	return r.Namespace + "_" + strings.ReplaceAll(r.Name, ":", "__") + "_" + r.Group + "_" + r.Kind
}

// Parse reads an ID. Namespaces, groups and kinds hold no underscore, so what
// is left between them is the name.
func Parse(id string) (Ref, error) {
	namespace, rest, ok := strings.Cut(id, "_")
	kindAt := strings.LastIndexByte(rest, '_')
	if !ok || kindAt < 0 {
		return Ref{}, fmt.Errorf("inventory id %q is not <namespace>_<name>_<group>_<kind>", id)
	}
	groupAt := strings.LastIndexByte(rest[:kindAt], '_')
	if groupAt < 0 {
		return Ref{}, fmt.Errorf("inventory id %q is not <namespace>_<name>_<group>_<kind>", id)
	}
	ref := Ref{
		Namespace: namespace,
		Name:      strings.ReplaceAll(rest[:groupAt], "__", ":"),
		Group:     rest[groupAt+1 : kindAt],
		Kind:      rest[kindAt+1:],
	}
	if ref.Name == "" || ref.Kind == "" {
		return Ref{}, fmt.Errorf("inventory id %q has no name or no kind", id)
	}
	return ref, nil
}

// Inventory maps each object to the version of the API that it was applied
// with.
type Inventory map[Ref]string

// Of returns the inventory of objects.
func Of(objects []*unstructured.Unstructured) Inventory {
	inv := make(Inventory, len(objects))
	for _, obj := range objects {
		inv[RefOf(obj)] = obj.GroupVersionKind().Version
	}
	return inv
}

// Union returns what either inventory has; i wins where both have an object.
func (i Inventory) Union(other Inventory) Inventory {
	out := make(Inventory, len(i)+len(other))
	maps.Copy(out, other)
	maps.Copy(out, i)
	return out
}

// Minus returns what i has and other has not.
func (i Inventory) Minus(other Inventory) Inventory {
	out := Inventory{}
	for ref, version := range i {
		if _, ok := other[ref]; !ok {
			out[ref] = version
		}
	}
	return out
}

// Refs returns the objects sorted by their IDs.
func (i Inventory) Refs() []Ref {
	return slices.SortedFunc(maps.Keys(i), func(a, b Ref) int { return cmp.Compare(a.ID(), b.ID()) })
}

// GVK of one member.
func (i Inventory) GVK(ref Ref) schema.GroupVersionKind {
	return ref.GroupKind().WithVersion(i[ref])
}

// MaxBytes is the size that a status may spend on its inventory. etcd refuses
// objects of 1.5 MiB; one that cannot be written is one that forgets what it
// applied.
const MaxBytes = 1 << 20

// Size is the number of bytes that the inventory takes as JSON.
func (i Inventory) Size() int {
	const frame = len(`{"id":"","v":""},`)
	size := 0
	for ref, version := range i {
		size += len(ref.ID()) + len(version) + frame
	}
	return size
}
