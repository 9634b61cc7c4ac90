// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func definition(schema *apiextensionsv1.CustomResourceValidation) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{Versions: []apiextensionsv1.CustomResourceDefinitionVersion{
			{Name: "v1beta1"}, {Name: "v1", Schema: schema},
		}},
	}
}

func properties(field string, below map[string]apiextensionsv1.JSONSchemaProps) map[string]apiextensionsv1.JSONSchemaProps {
	return map[string]apiextensionsv1.JSONSchemaProps{field: {Properties: below}}
}

func schemaOf(properties map[string]apiextensionsv1.JSONSchemaProps) *apiextensionsv1.CustomResourceValidation {
	return &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Properties: properties}}
}

func server(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func TestMissingField(t *testing.T) {
	ours := definition(schemaOf(properties("spec", properties("weir", nil))))
	for name, tc := range map[string]struct {
		crd     *apiextensionsv1.CustomResourceDefinition
		version string
		want    string
	}{
		"there":            {ours, "v1", ""},
		"no CRD":           {nil, "v1", "CustomResourceDefinition things.example.com cannot be read"},
		"no version":       {ours, "v2", "has no version v2; apply Weir's"},
		"no such field":    {definition(schemaOf(properties("spec", properties("path", nil)))), "v1", "has no field spec.weir; apply Weir's, or accept this one with --accept-flux-crds"},
		"not even a spec":  {definition(schemaOf(nil)), "v1", "has no field spec;"},
		"empty validation": {definition(&apiextensionsv1.CustomResourceValidation{}), "v1", "has no field spec;"},
		"no schema":        {ours, "v1beta1", "has no field spec;"},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			if tc.crd != nil {
				objects = append(objects, tc.crd.DeepCopy())
			}
			got := missingField(t.Context(), server(t, objects...), "things.example.com", tc.version, []string{"spec", "weir"})
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestAwaitSchemaSaysWhyItWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kube := server(t)
		var said []string
		log := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
		done := make(chan bool, 1)
		go func() { done <- AwaitSchema(t.Context(), kube, log, "things.example.com", "v1", "spec", "weir") }()
		pass := time.NewTimer(4 * schemaPoll)
		<-pass.C
		synctest.Wait()
		if len(said) != 1 {
			t.Errorf("said %q, want one reason", said)
		}
		if err := kube.Create(t.Context(), definition(schemaOf(properties("spec", properties("weir", nil))))); err != nil {
			t.Fatal(err)
		}
		if !<-done {
			t.Error("gave up once the field was there")
		}
	})
}

func TestAwaitSchemaEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if AwaitSchema(ctx, server(t), funcr.New(func(string, string) {}, funcr.Options{}), "things.example.com", "v1", "spec") {
			t.Error("found a field where there is no definition")
		}
	})
}
