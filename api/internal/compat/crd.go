// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// SameSchema holds the schemas of two CRDs equal in everything that decides what the API server accepts, sets and keeps:
// types, bounds, patterns, enums, required fields, defaults and rules. Equal means that nothing is tighter. Where extended
// is true, spec and status of the first also have a field weir, by which a controller knows Weir's CRD.
func SameSchema(t *testing.T, ours, flux string, extended bool) {
	t.Helper()
	weir, theirs := Schema(t, ours), Schema(t, flux)
	for _, part := range []string{"spec", "status"} {
		properties := inside(t, weir, "properties", part, "properties")
		if _, ok := properties["weir"]; ok != extended {
			t.Errorf("%s has a field weir: %t, want %t", part, ok, extended)
		}
		delete(properties, "weir")
	}
	if diff := cmp.Diff(theirs, weir); diff != "" {
		t.Errorf("schemas differ (-Flux +Weir):\n%s", diff)
	}
}

// SameNames holds the names of two kinds equal, but for the category weir.
func SameNames(t *testing.T, ours, flux string) {
	t.Helper()
	weir, theirs := ReadCRD(t, ours), ReadCRD(t, flux)
	if diff := cmp.Diff(theirs.Metadata, weir.Metadata); diff != "" {
		t.Errorf("metadata differs (-Flux +Weir):\n%s", diff)
	}
	want := append(slices.Clone(theirs.Spec.Names.Categories), "weir")
	if diff := cmp.Diff(want, weir.Spec.Names.Categories); diff != "" {
		t.Errorf("categories (-want +got):\n%s", diff)
	}
	weir.Spec.Names.Categories = theirs.Spec.Names.Categories
	weir.Spec.Versions, theirs.Spec.Versions = nil, nil
	if diff := cmp.Diff(theirs.Spec, weir.Spec); diff != "" {
		t.Errorf("names differ (-Flux +Weir):\n%s", diff)
	}
}

// Columns returns the columns that `kubectl get` prints.
func Columns(t *testing.T, path string) []string {
	t.Helper()
	var names []string
	for _, c := range ReadCRD(t, path).Spec.Versions[0].AdditionalPrinterColumns {
		if c.Priority == 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

// CRD is a CustomResourceDefinition as far as it is compared.
type CRD struct {
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct {
		Group string
		Names struct {
			Kind, ListKind, Plural, Singular string
			Categories, ShortNames           []string
		}
		Scope    string
		Versions []struct {
			Name                     string
			Served, Storage          bool
			Subresources             map[string]any
			Schema                   struct{ OpenAPIV3Schema map[string]any }
			AdditionalPrinterColumns []struct {
				Name     string
				Priority int
			}
		}
	}
}

// stable is how versions are called that are neither alpha nor beta.
var stable = regexp.MustCompile(`^v[0-9]+$`)

// ReadCRD reads the definition of a kind with one version, which is stable: v1 or a later one.
func ReadCRD(t *testing.T, path string) CRD {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c CRD
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if len(c.Spec.Versions) != 1 || !stable.MatchString(c.Spec.Versions[0].Name) || !c.Spec.Versions[0].Served ||
		!c.Spec.Versions[0].Storage || c.Spec.Versions[0].Subresources["status"] == nil {
		t.Fatalf("%s: want one stable version, served, stored, with a status subresource", path)
	}
	return c
}

// Schema returns the schema in a CRD without descriptions.
func Schema(t *testing.T, path string) map[string]any {
	t.Helper()
	s := ReadCRD(t, path).Spec.Versions[0].Schema.OpenAPIV3Schema
	if len(s) == 0 {
		t.Fatalf("%s has no schema", path)
	}
	dropDescriptions(s)
	return s
}

// dropDescriptions removes descriptions from a schema and from those inside it. A property may itself be called
// description, so names of properties are not looked at.
func dropDescriptions(s map[string]any) {
	delete(s, "description")
	for key, value := range s {
		sub, ok := value.(map[string]any)
		switch {
		case !ok:
		case key == "properties":
			for _, property := range sub {
				if property, ok := property.(map[string]any); ok {
					dropDescriptions(property)
				}
			}
		default:
			dropDescriptions(sub)
		}
	}
}

// inside returns what is at a path of a schema.
func inside(t *testing.T, s map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		next, ok := s[name].(map[string]any)
		if !ok {
			t.Fatalf("the schema has no %s in %v", name, path)
		}
		s = next
	}
	return s
}
