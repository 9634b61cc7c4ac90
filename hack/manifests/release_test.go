// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// release is one HelmRelease of the example with what it makes of its chart.
type release struct {
	helmv2.HelmRelease
	// dir has the chart with the dependencies that are elsewhere in the repository.
	dir    string
	chart  *chart.Chart
	values map[string]any

	definitions, objects, hooks []*unstructured.Unstructured
}

// releases of an environment, in the order of their file.
func releases(t *testing.T, environment string) []release {
	t.Helper()
	objects := build(t, filepath.Join(exampleDir, "infra", environment, "weir"))
	facts := settings(objects)
	var all []release
	for _, object := range objects {
		if object.GetKind() != helmv2.HelmReleaseKind {
			continue
		}
		r := release{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &r.HelmRelease, true); err != nil {
			t.Fatalf("%s: %v", identify(object), err)
		}
		r.dir = withDependencies(t, r.Spec.Chart.Spec.Chart)
		r.values = r.merged(t, facts)
		if err := r.fill(); err != nil {
			t.Fatalf("%s: %s: %v", environment, identify(object), err)
		}
		all = append(all, r)
	}
	return all
}

// withDependencies copies a chart of the example, and into its charts those of
// its dependencies that are beside it, as source-controller packages it.
func withDependencies(t *testing.T, at string) string {
	t.Helper()
	source := filepath.Join(exampleDir, at)
	dir := filepath.Join(t.TempDir(), filepath.Base(at))
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	metadata, err := chartutil.LoadChartfile(filepath.Join(source, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dependency := range metadata.Dependencies {
		if other, found := strings.CutPrefix(dependency.Repository, "file://"); found {
			if err := os.CopyFS(filepath.Join(dir, "charts", dependency.Name), os.DirFS(filepath.Join(source, other))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// merged values: those of valuesFrom, which may only refer to the facts of the
// cluster, below those of the HelmRelease itself.
func (r *release) merged(t *testing.T, facts map[string]string) map[string]any {
	t.Helper()
	below := map[string]any{}
	for _, from := range r.Spec.ValuesFrom {
		value, found := facts[from.ValuesKey]
		if from.Kind != "ConfigMap" || from.Name != "cluster" || !found {
			t.Fatalf("HelmRelease %s takes values from %s %s, key %s, which the environment does not have", r.Name, from.Kind, from.Name, from.ValuesKey)
		}
		if err := strvals.ParseInto(from.TargetPath+"="+value, below); err != nil {
			t.Fatal(err)
		}
	}
	above := map[string]any{}
	if err := json.Unmarshal(r.Spec.Values.Raw, &above); err != nil {
		t.Fatal(err)
	}
	return chartutil.CoalesceTables(above, below)
}

// merge puts values in YAML on top of others, which stay as they are.
func merge(t *testing.T, below map[string]any, text string) map[string]any {
	t.Helper()
	above := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &above); err != nil {
		t.Fatal(err)
	}
	return chartutil.CoalesceTables(above, runtime.DeepCopyJSON(below))
}

// kubernetesVersion that the charts are rendered for. Helm's own idea of it, without a cluster, is years old.
func kubernetesVersion() *chartutil.KubeVersion {
	return &chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}
}

// render as helm install does, without a cluster.
func (r *release) render(values map[string]any) (*helmrelease.Release, error) {
	// Rendering changes the chart: each has its own.
	c, err := loader.LoadDir(r.dir)
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.DryRun, install.ClientOnly, install.KubeVersion = true, true, kubernetesVersion()
	install.ReleaseName, install.Namespace = r.Spec.ReleaseName, r.Spec.TargetNamespace
	return install.Run(c, values)
}

// fill loads the chart and renders it.
func (r *release) fill() error {
	c, err := loader.LoadDir(r.dir)
	if err != nil {
		return err
	}
	r.chart = c
	rendered, err := r.render(r.values)
	if err != nil {
		return err
	}
	for _, definition := range c.CRDObjects() {
		object, err := parse(definition.File.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", definition.Filename, err)
		}
		r.definitions = append(r.definitions, object)
	}
	manifests := releaseutil.SplitManifests(rendered.Manifest)
	for _, key := range sorted(manifests) {
		object, err := parse([]byte(manifests[key]))
		if err != nil {
			return fmt.Errorf("%w in:\n%s", err, manifests[key])
		}
		r.objects = append(r.objects, object)
	}
	for _, hook := range rendered.Hooks {
		object, err := parse([]byte(hook.Manifest))
		if err != nil {
			return fmt.Errorf("%s: %w", path.Base(hook.Path), err)
		}
		r.hooks = append(r.hooks, object)
	}
	return nil
}

// sorted keys of manifests, in the order in which they stood.
func sorted(manifests map[string]string) []string {
	keys := make(releaseutil.BySplitManifestsOrder, 0, len(manifests))
	for key := range manifests {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if (releaseutil.BySplitManifestsOrder{a, b}).Less(0, 1) {
			return -1
		}
		return 1
	})
	return keys
}
