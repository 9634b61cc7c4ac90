// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// environments of the example.
func environments() []string {
	return []string{"dev", "staging", "production"}
}

// builds keeps what was built: several tests look at the same overlays, and
// kustomize must not run twice at a time in one process.
var builds struct {
	sync.Mutex
	objects map[string][]*unstructured.Unstructured
}

// render builds an overlay as kubectl does. The objects are shared: read them
// only.
func render(dir string) ([]*unstructured.Unstructured, error) {
	builds.Lock()
	defer builds.Unlock()
	if objects := builds.objects[dir]; objects != nil {
		return objects, nil
	}
	objects, err := kustomize(dir)
	if builds.objects == nil {
		builds.objects = map[string][]*unstructured.Unstructured{}
	}
	builds.objects[dir] = objects
	return objects, err
}

func kustomize(dir string) ([]*unstructured.Unstructured, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	rendered, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", dir, err)
	}
	objects := make([]*unstructured.Unstructured, 0, rendered.Size())
	for _, resource := range rendered.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", dir, err)
		}
		object, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", dir, err)
		}
		objects = append(objects, object)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("build %s: no objects", dir)
	}
	return objects, nil
}

// parse reads one object.
func parse(text []byte) (*unstructured.Unstructured, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(asJSON)
}

// build is render for tests.
func build(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := render(dir)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// variable is a reference as the example writes it.
var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// substitute fills in variables and fails the test for one that has no value,
// as the controller does.
func substitute(t *testing.T, objects []*unstructured.Unstructured, values map[string]string) []*unstructured.Unstructured {
	t.Helper()
	filled := make([]*unstructured.Unstructured, 0, len(objects))
	for _, object := range objects {
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		text = variable.ReplaceAllFunc(text, func(reference []byte) []byte {
			value, ok := values[string(variable.FindSubmatch(reference)[1])]
			if !ok {
				t.Errorf("%s refers to %s, which its Kustomization does not set", identify(object), reference)
			}
			return []byte(value)
		})
		whole, err := parse(text)
		if err != nil {
			t.Fatalf("%s cannot be read once its variables are filled in: %v", identify(object), err)
		}
		filled = append(filled, whole)
	}
	return filled
}

// layer is one Kustomization of the example with what it applies.
type layer struct {
	kustomizev1.Kustomization
	objects []*unstructured.Unstructured
}

// layers of an environment, in the order of the file names of its base.
func layers(t *testing.T, environment string) []layer {
	t.Helper()
	objects := build(t, filepath.Join(exampleDir, "infra", environment, "weir"))
	facts := settings(objects)
	var all []layer
	for _, object := range objects {
		if object.GetKind() != "Kustomization" {
			continue
		}
		l := layer{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &l.Kustomization, true); err != nil {
			t.Fatalf("%s: %v", identify(object), err)
		}
		l.objects = build(t, filepath.Join(exampleDir, l.Spec.Path))
		if values := variables(t, &l.Kustomization, facts); values != nil {
			l.objects = substitute(t, l.objects, values)
		}
		all = append(all, l)
	}
	return all
}

// variables that a Kustomization of the example sets, nil without postBuild.
func variables(t *testing.T, k *kustomizev1.Kustomization, settings map[string]string) map[string]string {
	t.Helper()
	if k.Spec.PostBuild == nil {
		return nil
	}
	values := map[string]string{}
	for _, from := range k.Spec.PostBuild.SubstituteFrom {
		if from.Kind != "ConfigMap" || from.Name != "cluster" {
			t.Fatalf("Kustomization %s takes variables from %s %s, which the environment does not have", k.Name, from.Kind, from.Name)
		}
		maps.Copy(values, settings)
	}
	maps.Copy(values, k.Spec.PostBuild.Substitute)
	return values
}

// settings of an environment: its ConfigMap.
func settings(objects []*unstructured.Unstructured) map[string]string {
	for _, object := range objects {
		if object.GetKind() == "ConfigMap" && object.GetName() == "cluster" {
			data, _, _ := unstructured.NestedStringMap(object.Object, "data")
			return data
		}
	}
	return nil
}

// identify names an object for a person.
func identify(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + path.Join(object.GetNamespace(), object.GetName())
}

// TestEveryOverlayIsChecked keeps the lists of this package complete: an
// overlay that no list reaches would ship untested.
func TestEveryOverlayIsChecked(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{"release": true}
	for _, environment := range environments() {
		for _, l := range layers(t, environment) {
			reached[path.Base(l.Spec.Path)] = true
			if want := path.Join("infra", environment, l.Name); path.Clean(l.Spec.Path) != want {
				t.Errorf("path of Kustomization %s is %s, want %s", l.Name, l.Spec.Path, want)
			}
		}
		entries, err := os.ReadDir(filepath.Join(exampleDir, "infra", environment))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if !reached[entry.Name()] {
				t.Errorf("infra/%s/%s is applied by no Kustomization", environment, entry.Name())
			}
		}
	}
}

// TestAddressIsWrittenOnce checks what the example's README promises to those
// who put their own address in.
func TestAddressIsWrittenOnce(t *testing.T) {
	t.Parallel()
	found := 0
	err := filepath.WalkDir(filepath.Join(exampleDir, "infra"), func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		found += bytes.Count(content, []byte("https://github.com/"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != 1 {
		t.Errorf("the repository's address is written %d times in infra, want once", found)
	}
}
