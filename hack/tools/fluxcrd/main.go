// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command fluxcrd prints the CRD of one kind of a Go package of Flux's, without the descriptions, which are Flux's
// sentences and not ours. controller-gen can do no less than all kinds of a package and adds nothing to what it finds;
// apart from that the result is the same.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/tools/go/packages"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-tools/pkg/crd"
	crdmarkers "sigs.k8s.io/controller-tools/pkg/crd/markers"
	"sigs.k8s.io/controller-tools/pkg/loader"
	"sigs.k8s.io/controller-tools/pkg/markers"
	"sigs.k8s.io/yaml"
)

func main() {
	var (
		pkg      = flag.String("package", "", "import path of the Go package")
		kind     = flag.String("kind", "", "kind to print")
		category = flag.String("category", "", "category to add to those of the kind")
		header   = flag.String("header", "", "file whose text is printed first")
	)
	flag.Parse()
	if err := run(os.Stdout, *pkg, *kind, *category, *header); err != nil {
		fmt.Fprintln(os.Stderr, "fluxcrd:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, pkg, kind, category, header string) error {
	def, err := definition(pkg, kind)
	if err != nil {
		return fmt.Errorf("make the CRD of kind %q of package %q: %w", kind, pkg, err)
	}
	if names := &def.Spec.Names; category != "" && !slices.Contains(names.Categories, category) {
		names.Categories = append(names.Categories, category)
	}
	text, err := marshal(def)
	if err != nil {
		return fmt.Errorf("print the CRD of kind %q: %w", kind, err)
	}
	if header != "" {
		top, err := os.ReadFile(header)
		if err != nil {
			return fmt.Errorf("read the header: %w", err)
		}
		text = append(top, text...)
	}
	_, err = out.Write(text)
	return err
}

// definition makes the CRD from the Go types and their markers.
func definition(pkg, kind string) (*apiextensionsv1.CustomResourceDefinition, error) {
	roots, err := loader.LoadRoots(pkg)
	if err != nil {
		return nil, err
	}
	registry := &markers.Registry{}
	if err := crdmarkers.Register(registry); err != nil {
		return nil, err
	}
	parser := &crd.Parser{
		Collector: &markers.Collector{Registry: registry},
		Checker:   &loader.TypeChecker{NodeFilters: []loader.NodeFilter{crd.Generator{}.CheckFilter()}},
	}
	crd.AddKnownTypes(parser)
	for _, root := range roots {
		parser.NeedPackage(root)
	}
	// Only what a schema needs is type-checked, so errors of types elsewhere mean nothing.
	if loader.PrintErrors(roots, packages.TypeError) {
		return nil, errors.New("the package does not load")
	}
	kinds := crd.FindKubeKinds(parser, crd.FindMetav1(roots))
	at := slices.IndexFunc(kinds, func(gk schema.GroupKind) bool { return gk.Kind == kind })
	if at < 0 {
		return nil, fmt.Errorf("the package has no such kind, only %v", kinds)
	}
	noDescriptions := 0
	parser.NeedCRDFor(kinds[at], &noDescriptions)
	if loader.PrintErrors(roots, packages.TypeError) {
		return nil, errors.New("the package has faulty markers")
	}
	def := parser.CustomResourceDefinitions[kinds[at]]
	crd.FixTopLevelMetadata(def)
	return &def, nil
}

// marshal returns the YAML of a CRD, less what only a server sets.
func marshal(def *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(def)
	if err != nil {
		return nil, err
	}
	delete(object, "status")
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "creationTimestamp")
	}
	return yaml.Marshal(object)
}
