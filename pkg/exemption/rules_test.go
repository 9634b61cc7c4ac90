// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package exemption

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		text, wrong string
		want        Pointer
	}{
		"one field":         {"/spec", "", Of("spec")},
		"fields":            {"/spec/replicas", "", Of("spec", "replicas")},
		"index":             {"/spec/ports/0/port", "", Of("spec", "ports", "0", "port")},
		"slash in a name":   {"/metadata/annotations/weir.dev~1note", "", Of("metadata", "annotations", "weir.dev/note")},
		"tilde in a name":   {"/data/a~0b", "", Of("data", "a~b")},
		"tilde, then one":   {"/data/a~01", "", Of("data", "a~1")},
		"empty name":        {"/", "", Of("")},
		"whole object":      {"", "whole object", nil},
		"no slash":          {"spec/replicas", "begin with a slash", nil},
		"dots":              {".spec.replicas", "begin with a slash", nil},
		"lonely tilde":      {"/data/a~b", "tilde", nil},
		"tilde at the end":  {"/data/a~", "tilde", nil},
		"JSON path instead": {"$.spec", "begin with a slash", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.text)
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("error %v, want %q", err, tc.wrong)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("pointer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompileNamesTheField(t *testing.T) {
	good := Rule{Paths: []string{"/spec/replicas"}}
	for field, rule := range map[string]Rule{
		"[1].paths[1]":                  {Paths: []string{"/a", "b"}},
		"[1].target.group":              {Target: Target{Group: "("}},
		"[1].target.version":            {Target: Target{Version: "["}},
		"[1].target.kind":               {Target: Target{Kind: "*"}},
		"[1].target.namespace":          {Target: Target{Namespace: "a)|(b"}},
		"[1].target.name":               {Target: Target{Name: "+"}},
		"[1].target.labelSelector":      {Target: Target{LabelSelector: "a in"}},
		"[1].target.annotationSelector": {Target: Target{AnnotationSelector: "=="}},
	} {
		t.Run(field, func(t *testing.T) {
			_, err := Compile([]Rule{good, rule})
			wrong, ok := errors.AsType[*FieldError](err)
			if !ok || wrong.Field != field {
				t.Errorf("error %v, want one of %s", err, field)
			}
		})
	}
}

func deployment(marks ...string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	obj.SetNamespace("ml")
	obj.SetName("web-server")
	if len(marks) > 0 {
		obj.SetLabels(map[string]string{"app": marks[0]})
		obj.SetAnnotations(map[string]string{"team": marks[0]})
	}
	return obj
}

func TestTargets(t *testing.T) {
	for name, tc := range map[string]struct {
		target Target
		want   bool
	}{
		"all":                    {Target{}, true},
		"group":                  {Target{Group: "apps"}, true},
		"group in full":          {Target{Group: "app"}, false},
		"another version":        {Target{Version: "v1beta1"}, false},
		"kind":                   {Target{Kind: "Deployment"}, true},
		"either kind":            {Target{Kind: "StatefulSet|Deployment"}, true},
		"either, in full":        {Target{Kind: "Deploy|StatefulSet"}, false},
		"name":                   {Target{Name: "web-.*"}, true},
		"name in full":           {Target{Name: "web"}, false},
		"namespace":              {Target{Namespace: "m."}, true},
		"another namespace":      {Target{Namespace: "default"}, false},
		"labels":                 {Target{LabelSelector: "app in (web, db)"}, true},
		"other labels":           {Target{LabelSelector: "app!=web"}, false},
		"annotations":            {Target{AnnotationSelector: "team=web"}, true},
		"other annotations":      {Target{AnnotationSelector: "!team"}, false},
		"all but one field":      {Target{Kind: "Deployment", Name: "web-server", Group: "batch"}, false},
		"everything, and labels": {Target{"apps", "v1", "Deployment", "ml", "web-server", "app", "team"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := Compile([]Rule{{Paths: []string{"/spec/replicas"}, Target: tc.target}})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(rules.Pointers(deployment("web"))) > 0; got != tc.want {
				t.Errorf("selected = %t, want %t", got, tc.want)
			}
		})
	}
}

// A version that is 0 says that no label or annotation can bring an object
// under the rules.
func TestVersion(t *testing.T) {
	key := types.NamespacedName{Namespace: "ml", Name: "web-server"}
	gvk := deployment().GroupVersionKind()
	version := func(rules ...Rule) uint64 {
		compiled, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Version(gvk, key)
	}
	byLabel := Rule{Paths: []string{"/a"}, Target: Target{LabelSelector: "x"}}
	if version() != 0 || version(Rule{Paths: []string{"/a"}, Target: Target{Kind: "Service"}}) != 0 {
		t.Error("objects that no rule names have a version")
	}
	if version(byLabel) == 0 {
		t.Error("an object that a label would select has none")
	}
	if again := byLabel; version(byLabel) != version(again) {
		t.Error("the same rules have two versions")
	}
	if version(byLabel) == version(Rule{Paths: []string{"/b"}, Target: byLabel.Target}) || version(byLabel) == version(Rule{Paths: byLabel.Paths}) {
		t.Error("different rules have the same version")
	}
	if got := (*Rules)(nil).Pointers(deployment()); got != nil {
		t.Errorf("no rules exempt %v", got)
	}
}
