// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package setter finds the fields of YAML files that images are written to, and writes them. A field is found by the
// marker in its comment or by its path. Writing replaces the bytes of the value and no others, and is checked by
// reading the result again.
package setter

import (
	"fmt"
	"strings"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// MaxFile is the size in bytes up to which a file is read and written.
const MaxFile = 1 << 20

// Field is one scalar of a YAML file that an image, or a part of one, is written to.
type Field struct {
	// File is the path from the root of the repository.
	File string
	// Line and Column, both from 1, are where the value begins, its anchor and tag included. A column is a character.
	Line, Column int
	// Object is the object around the field: kind/namespace/name, kind/name, or empty where the document is no object.
	Object string
	// Twin is how many documents of the file before this one have the same Object: 0 but for documents that are no object,
	// or are the same one.
	Twin int
	// ID is the same, taken apart.
	ID ObjectID
	// Path of the field in its document, in the grammar of imagev1.Target. In a document that is a List it begins at the
	// item.
	Path string
	// Ref is what a marker refers to, without the part: <namespace>:<policy> or <namespace>:<automation>/<image>. It is
	// empty for targets.
	Ref string
	// Image is the name of the image of a target. It is empty for markers.
	Image string
	// Part of the reference that the field holds; never empty.
	Part imagev1.Part
	// Value is what the field holds, without quotes.
	Value string
	// Repository is what the field at repositoryPath holds, for targets that have one.
	Repository string
}

// ObjectID identifies an object of a file. All of it may be empty: a file of Helm values is no object.
type ObjectID struct {
	APIVersion, Kind, Namespace, Name string
}

// String returns kind/namespace/name, kind/name or the empty string.
func (o ObjectID) String() string {
	switch {
	case o.Kind == "" && o.Name == "":
		return ""
	case o.Namespace == "":
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// Written returns what Set makes of the field for a value. It differs from the value where the field has a prefix that
// stays, such as oci://.
func (f Field) Written(value string) string {
	if f.Part != imagev1.PartImage && f.Part != imagev1.PartName {
		return value
	}
	for _, prefix := range [...]string{"oci://", "docker://"} {
		if strings.HasPrefix(f.Value, prefix) && !strings.HasPrefix(value, prefix) {
			return prefix + value
		}
	}
	return value
}

// Setter returns what the marker of the field refers to, the part included, or the name of the image of a target.
func (f Field) Setter() string {
	name := f.Ref
	if name == "" {
		name = f.Image
	}
	if f.Part != imagev1.PartImage {
		name += ":" + string(f.Part)
	}
	return name
}

// String names the field for messages: file:line.
func (f Field) String() string { return fmt.Sprintf("%s:%d", f.File, f.Line) }

// Problem is a file, or a marker in it, that is left out, and why. The reason is stable.
type Problem struct {
	File string
	// Line is 0 where the whole file is left out.
	Line   int
	Reason string
}

// String returns file, line and reason.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Reason
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason)
}
