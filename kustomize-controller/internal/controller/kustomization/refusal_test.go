// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"fmt"
	"strings"
	"testing"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// Every object that the API server refuses is named with the file and line that
// it comes from: those that stand there and those that kustomize has renamed or
// generated.
func TestDryRunErrorsNameFileAndLine(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	badService := func(name string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: $NS}\nspec: {ports: [{port: 99999}]}\n"
	}
	s.push(map[string]string{
		"plain/infra/two.yaml": configMap("fine", "x") + "---\n# The second one.\n" + badService("second"),
		"plain/z.yaml":         badService("third"),
		"renamed/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamePrefix: x-\nresources: [one.yaml]\n" +
			"configMapGenerator: [{name: made, namespace: $NS, literals: [a=b], options: {annotations: {\"not valid\": x}}}]\n",
		"renamed/one.yaml": "\n" + badService("one"),
	})
	want := map[string][]string{
		"plain":   {"Service/$NS/second dry-run failed (Invalid) (plain/infra/two.yaml:7): ", "Service/$NS/third dry-run failed (Invalid) (plain/z.yaml:1): "},
		"renamed": {"Service/$NS/x-one dry-run failed (Invalid) (renamed/one.yaml:2): ", "dry-run failed (Invalid) (renamed/kustomization.yaml): "},
	}
	for name, texts := range want {
		s.create(name, inPath(name))
		message := s.awaitFailure(name, "ReconciliationFailed")
		for _, text := range texts {
			if !strings.Contains(message, strings.ReplaceAll(text, "$NS", s.ns)) {
				t.Errorf("%s: message %q, want %q in it", name, message, text)
			}
		}
	}
}

// Of many errors the first five are spelled out, and all are counted.
func TestManyDryRunErrors(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprintf("s%d.yaml", i)] = fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: $NS}\nspec: {ports: [{port: 99999}]}\n", i)
	}
	s.push(files)
	s.create("app")
	message := s.awaitFailure("app", "ReconciliationFailed")
	for i := range 5 {
		if !strings.Contains(message, fmt.Sprintf("(s%d.yaml:1)", i)) {
			t.Errorf("message %q, want s%d.yaml:1 in it", message, i)
		}
	}
	if !strings.HasSuffix(message, "; and 3 more") {
		t.Errorf("message %q, want it to count the others", message)
	}
}

// inPath sets spec.path.
func inPath(path string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.Path = path }
}
