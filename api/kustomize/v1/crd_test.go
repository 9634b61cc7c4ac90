// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

const (
	ourCRD = "../../../kustomize-controller/config/crd/kustomize.toolkit.fluxcd.io_kustomizations.yaml"

	// fluxCRD is made from the Go types of Flux's pinned API module by the same generator, without descriptions.
	fluxCRD = "testdata/flux_kustomizations.yaml"
)

// TestSchemaEqualsFlux holds the schemas equal in everything that decides what the API server accepts, sets and keeps:
// types, bounds, patterns, enums, required fields, defaults and rules. Equal means that nothing is tighter.
func TestSchemaEqualsFlux(t *testing.T) {
	ours, flux := schema(t, ourCRD), schema(t, fluxCRD)
	for _, part := range []string{"spec", "status"} {
		properties := ours["properties"].(map[string]any)[part].(map[string]any)["properties"].(map[string]any)
		if _, ok := properties["weir"]; !ok {
			t.Errorf("%s has no field weir, by which a controller knows Weir's CRD", part)
		}
		delete(properties, "weir")
	}
	if diff := cmp.Diff(flux, ours); diff != "" {
		t.Errorf("schemas differ (-Flux +Weir):\n%s", diff)
	}
}

func TestCRDKeepsFluxNames(t *testing.T) {
	ours, flux := readCRD(t, ourCRD), readCRD(t, fluxCRD)
	if diff := cmp.Diff(flux.Metadata, ours.Metadata); diff != "" {
		t.Errorf("metadata differs (-Flux +Weir):\n%s", diff)
	}
	want := append(slices.Clone(flux.Spec.Names.Categories), "weir")
	if diff := cmp.Diff(want, ours.Spec.Names.Categories); diff != "" {
		t.Errorf("categories (-want +got):\n%s", diff)
	}
	ours.Spec.Names.Categories = flux.Spec.Names.Categories
	ours.Spec.Versions, flux.Spec.Versions = nil, nil
	if diff := cmp.Diff(flux.Spec, ours.Spec); diff != "" {
		t.Errorf("names differ (-Flux +Weir):\n%s", diff)
	}
}

func TestColumns(t *testing.T) {
	var got []string
	for _, c := range readCRD(t, ourCRD).Spec.Versions[0].AdditionalPrinterColumns {
		if c.Priority == 0 {
			got = append(got, c.Name)
		}
	}
	want := []string{"Ready", "Reason", "Source", "Suspended", "Revision", "Age"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestBoundOfCompletedJobs(t *testing.T) {
	status := schema(t, ourCRD)["properties"].(map[string]any)["status"].(map[string]any)
	weir := status["properties"].(map[string]any)["weir"].(map[string]any)
	jobs := weir["properties"].(map[string]any)["completedJobs"].(map[string]any)
	if got := jobs["maxItems"]; !reflect.DeepEqual(got, float64(kustomizev1.MaxCompletedJobs)) {
		t.Errorf("the CRD takes %v entries, MaxCompletedJobs is %d", got, kustomizev1.MaxCompletedJobs)
	}
}

type crd struct {
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

func readCRD(t *testing.T, path string) crd {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c crd
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if len(c.Spec.Versions) != 1 || c.Spec.Versions[0].Name != "v1" || !c.Spec.Versions[0].Served ||
		!c.Spec.Versions[0].Storage || c.Spec.Versions[0].Subresources["status"] == nil {
		t.Fatalf("%s: want one version v1, served, stored, with a status subresource", path)
	}
	return c
}

// schema returns the schema in a CRD without descriptions.
func schema(t *testing.T, path string) map[string]any {
	t.Helper()
	s := readCRD(t, path).Spec.Versions[0].Schema.OpenAPIV3Schema
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
				dropDescriptions(property.(map[string]any))
			}
		default:
			dropDescriptions(sub)
		}
	}
}
