// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// reference builds with Flux's library, on a copy of the files because it writes to them.
func reference(ctx context.Context, t testing.TB, files map[string]string, spec kustomizev1.KustomizationSpec) (
	[]*unstructured.Unstructured, error,
) {
	t.Helper()
	root := lay(t, files)
	if err := enter(ctx); err != nil {
		return nil, err
	}
	defer leave()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&kustomizev1.Kustomization{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	ks := unstructured.Unstructured{Object: content}
	dir := filepath.Join(root, spec.Path)
	if _, err := fluxkustomize.NewGenerator(root, ks).WriteFile(dir); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	built, err := fluxkustomize.SecureBuild(root, dir, false)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	for _, res := range built.Resources() {
		if spec.PostBuild == nil {
			break
		}
		replaced, err := fluxkustomize.SubstituteVariables(ctx, nil, ks, res,
			fluxkustomize.SubstituteWithDryRun(true), fluxkustomize.SubstituteWithStrict(true),
			fluxkustomize.SubstituteWithAlways(spec.PostBuild.SubstituteStrategy == kustomizev1.SubstituteStrategyAlways))
		if err != nil {
			return nil, fmt.Errorf("substitute: %w", err)
		}
		if replaced == nil {
			continue
		}
		if _, err := built.Replace(replaced); err != nil {
			return nil, fmt.Errorf("replace: %w", err)
		}
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return readObjects(text)
}

// readObjects reads the objects in a text, as clients of the API server do.
func readObjects(text []byte) ([]*unstructured.Unstructured, error) {
	reader := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(text), 2048)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		if err := reader.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

// lay writes files into a new directory, and returns it.
func lay(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		full := filepath.Join(root, name)
		dir := filepath.Dir(full)
		if strings.HasSuffix(name, "/") {
			dir = full
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if dir == full {
			continue
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
