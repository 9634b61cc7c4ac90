// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/spf13/pflag"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/docs/markdown"
	"github.com/weir-gitops/weir/pkg/app"
)

// TestEveryFieldIsDescribed walks the Go types of each page's kind. A field has
// a heading or a row of a table, and what is inside of it is named there, unless
// it is not built yet.
func TestEveryFieldIsDescribed(t *testing.T) {
	types := map[string][]reflect.Type{
		kustomizations: {
			reflect.TypeFor[kustomizev1.KustomizationSpec](),
			reflect.TypeFor[kustomizev1.KustomizationStatus](),
		},
		gitRepositories: {reflect.TypeFor[sourcev1.GitRepositorySpec]()},
		gpuQuotas:       {reflect.TypeFor[quotav1.GPUQuotaSpec](), reflect.TypeFor[quotav1.GPUQuotaStatus]()},
		automations: {
			reflect.TypeFor[imagev1.ImageUpdateAutomationSpec](), reflect.TypeFor[imagev1.GitSpec](), reflect.TypeFor[imagev1.WeirSpec](),
			reflect.TypeFor[imagev1.Image](), reflect.TypeFor[imagev1.ImageChoice](), reflect.TypeFor[imagev1.Gate](),
			reflect.TypeFor[imagev1.Target](), reflect.TypeFor[imagev1.PullRequest](),
			reflect.TypeFor[imagev1.ImageUpdateAutomationStatus](), reflect.TypeFor[imagev1.WeirStatus](),
			reflect.TypeFor[imagev1.ImageStatus](), reflect.TypeFor[imagev1.PullRequestStatus](), reflect.TypeFor[imagev1.ImageRef](),
		},
		helmReleases: {
			reflect.TypeFor[helmv2.HelmReleaseSpec](), reflect.TypeFor[helmv2.HelmChartTemplateSpec](), reflect.TypeFor[helmv2.Install](),
			reflect.TypeFor[helmv2.Upgrade](), reflect.TypeFor[helmv2.HelmReleaseStatus](),
		},
		ociRepositories: {reflect.TypeFor[sourcev1.OCIRepositorySpec](), reflect.TypeFor[sourcev1.OCIRepositoryStatus]()},
		chartIndexes:    {reflect.TypeFor[sourcev1.HelmRepositorySpec](), reflect.TypeFor[sourcev1.HelmRepositoryStatus]()},
		helmCharts:      {reflect.TypeFor[sourcev1.HelmChartSpec](), reflect.TypeFor[sourcev1.HelmChartStatus]()},
		imageScans:      {reflect.TypeFor[imagev1.ImageRepositorySpec](), reflect.TypeFor[imagev1.ImageRepositoryStatus]()},
		imagePolicies:   {reflect.TypeFor[imagev1.ImagePolicySpec](), reflect.TypeFor[imagev1.ImagePolicyStatus]()},
	}
	for path, p := range specPages(t) {
		for _, typ := range types[path] {
			for name, field := range jsonFields(typ) {
				text := p.About(name)
				switch {
				case text == "":
					t.Errorf("%s: no heading and no row of a table is about %s.%s", path, typ.Name(), name)
					continue
				case strings.Contains(text, "**Not yet.**"):
					continue
				}
				for _, inner := range inside(field, types[path]) {
					if !markdown.Names(markdown.Code(text), inner) {
						t.Errorf("%s: what is said about %s.%s does not name its field %s", path, typ.Name(), name, inner)
					}
				}
			}
		}
	}
}

// jsonFields returns the fields of a struct by their names on the wire.
func jsonFields(typ reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			maps.Copy(fields, jsonFields(field.Type))
			continue
		}
		fields[name] = field.Type
	}
	return fields
}

// inside returns the names of all fields below a type, but for those of
// Kubernetes' own types, which have their own documentation, of those that the
// page describes by themselves, and for the one field of a type that refers to
// another object by name.
func inside(typ reflect.Type, described []reflect.Type) []string {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || strings.HasPrefix(typ.PkgPath(), "k8s.io/") || slices.Contains(described, typ) {
		return nil
	}
	fields := jsonFields(typ)
	if _, isName := fields["name"]; isName && len(fields) == 1 {
		return nil
	}
	var all []string
	for name, field := range fields {
		all = append(append(all, name), inside(field, described)...)
	}
	return all
}

// TestEveryConditionAndReasonIsDescribed goes by the constants of the API.
func TestEveryConditionAndReasonIsDescribed(t *testing.T) {
	for path, file := range map[string]string{
		kustomizations: "api/kustomize/v1/conditions.go",
		gpuQuotas:      "api/quota/v1alpha1/conditions.go",
		automations:    "api/image/v1/conditions.go",
		helmReleases:   "api/helm/v2/conditions.go",
	} {
		p := specPages(t)[path]
		for name, value := range values(t, file) {
			if p.About(value) == "" {
				t.Errorf("%s: no row of a table is about %s, the value of %s", path, value, name)
			}
		}
	}
}

// fluxValues are the constants of Flux that those of the API stand for.
var fluxValues = map[string]string{
	"ReadyCondition":                fluxmeta.ReadyCondition,
	"ReconcilingCondition":          fluxmeta.ReconcilingCondition,
	"StalledCondition":              fluxmeta.StalledCondition,
	"HealthyCondition":              fluxmeta.HealthyCondition,
	"ProgressingReason":             fluxmeta.ProgressingReason,
	"ProgressingWithRetryReason":    fluxmeta.ProgressingWithRetryReason,
	"SucceededReason":               fluxmeta.SucceededReason,
	"ReconciliationSucceededReason": fluxmeta.ReconciliationSucceededReason,
	"ReconciliationFailedReason":    fluxmeta.ReconciliationFailedReason,
	"ArtifactFailedReason":          fluxmeta.ArtifactFailedReason,
	"BuildFailedReason":             fluxmeta.BuildFailedReason,
	"PruneFailedReason":             fluxmeta.PruneFailedReason,
	"DependencyNotReadyReason":      fluxmeta.DependencyNotReadyReason,
	"HealthCheckFailedReason":       fluxmeta.HealthCheckFailedReason,
	"HealthCheckCanceledReason":     fluxmeta.HealthCheckCanceledReason,
	"InvalidCELExpressionReason":    fluxmeta.InvalidCELExpressionReason,
	"FeatureGateDisabledReason":     fluxmeta.FeatureGateDisabledReason,
}

// values returns the constants of a file, which have their value beside them or
// stand for one of Flux's.
func values(t *testing.T, path string) map[string]string {
	t.Helper()
	found := map[string]string{}
	ast.Inspect(parse(t, path), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		switch value := spec.Values[0].(type) {
		case *ast.BasicLit:
			found[spec.Names[0].Name] = unquote(t, value)
		case *ast.SelectorExpr:
			known, ok := fluxValues[value.Sel.Name]
			if !ok {
				t.Errorf("%s: %s stands for a constant that this test does not know", path, spec.Names[0].Name)
			}
			found[spec.Names[0].Name] = known
		}
		return true
	})
	if len(found) != len(constants(t, path)) {
		t.Fatalf("%s has constants whose value is not beside them", path)
	}
	return found
}

// TestEveryKeyIsDescribed goes by the constants for labels, annotations and
// their values.
func TestEveryKeyIsDescribed(t *testing.T) {
	file := parse(t, "api/kustomize/v1/constants.go")
	p := specPages(t)[kustomizations]
	all := markdown.Code(p.Prose)
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if value := unquote(t, literal); !strings.Contains(all, value) {
				t.Errorf("%s does not name %s", kustomizations, value)
			}
		}
		return true
	})
}

// TestEveryFlagIsDescribed compares the tables of flags with what the programs
// define, and the defaults of those that all of them have.
func TestEveryFlagIsDescribed(t *testing.T) {
	shared := pflag.NewFlagSet("shared", pflag.ContinueOnError)
	t.Setenv("RUNTIME_NAMESPACE", "")
	(&app.Options{}).Bind(shared, 1)
	for path, options := range map[string]string{
		kustomizations:  "kustomize-controller/internal/app/options.go",
		gitRepositories: "source-controller/internal/app/options.go",
		gpuQuotas:       "gpu-quota-controller/internal/app/options.go",
		automations:     "image-automation-controller/internal/app/options.go",
		helmReleases:    "helm-controller/internal/app/options.go",
	} {
		p := specPages(t)[path]
		defined := flags(t, options)
		shared.VisitAll(func(f *pflag.Flag) {
			defined["--"+f.Name] = true
			row := p.About("--" + f.Name)
			if f.Name != "concurrent" && row != "" && f.DefValue != "" && !strings.Contains(row, "`"+f.DefValue+"`") {
				t.Errorf("%s: the default of --%s is %s, and its row is %q", path, f.Name, f.DefValue, row)
			}
		})
		if path == gpuQuotas {
			maps.Copy(defined, flags(t, "gpu-quota-controller/internal/app/webhook.go"))
		}
		for name := range defined {
			if p.About(name) == "" {
				t.Errorf("%s: no row of a table is about %s", path, name)
			}
		}
	}
}

// flags returns the names of the flags that a file defines.
func flags(t *testing.T, path string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	ast.Inspect(parse(t, path), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if set, ok := method.X.(*ast.Ident); !ok || set.Name != "fs" {
			return true
		}
		for _, argument := range call.Args {
			if literal, ok := argument.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				found["--"+unquote(t, literal)] = true
				break
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s defines no flags that this test can see", path)
	}
	return found
}

// constants returns the names of the exported constants of a file.
func constants(t *testing.T, path string) []string {
	t.Helper()
	var found []string
	for _, declaration := range parse(t, path).Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if name.IsExported() {
					found = append(found, name.Name)
				}
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no constants", path)
	}
	return found
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func unquote(t *testing.T, literal *ast.BasicLit) string {
	t.Helper()
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
