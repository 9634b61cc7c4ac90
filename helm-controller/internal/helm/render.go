// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	sdk "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
)

const (
	notesFile = "NOTES.txt"
	// maxNotes bounds the notes that are stored with a release.
	maxNotes = 64 << 10
)

// rendering is what a chart rendered to, as the release stores it.
type rendering struct {
	chart    *chart.Chart // its dependencies processed
	values   map[string]any
	manifest string
	hooks    []*sdk.Hook
	notes    string
	// kinds are those that the chart defines.
	kinds map[schema.GroupVersionKind]*meta.RESTMapping
}

// renderer renders one chart once. Chart and values are its own.
type renderer struct {
	chart        *chart.Chart
	values       map[string]any
	options      chartutil.ReleaseOptions
	capabilities *chartutil.Capabilities
	lookups      *remoteLookups
	skipSchema   bool
	skipCRDs     bool
	schemas      schemas
	limit        int64 // of the definitions in bytes
	post         func(manifest string, hooks []*sdk.Hook) (string, []*sdk.Hook, error)
}

// render does what the SDK's actions do between the arguments and the release:
// the same functions of the SDK in the same order, but for the check of values
// and for the post-renderers, which see hooks. It may take all memory and all
// time, and is for a process of its own.
func (r *renderer) render() (*rendering, error) {
	if err := chartutil.ProcessDependenciesWithMerge(r.chart, r.values); err != nil {
		return nil, fmt.Errorf("process the dependencies of chart %s: %w", r.chart.Name(), err)
	}
	out := &rendering{chart: r.chart, values: r.values}
	if err := r.announce(out); err != nil {
		return nil, err
	}
	wants, has := r.chart.Metadata.KubeVersion, r.capabilities.KubeVersion.String()
	if wants != "" && !chartutil.IsCompatibleRange(wants, has) {
		return nil, fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s", wants, has)
	}
	top, err := chartutil.ToRenderValuesWithSchemaValidation(r.chart, r.values, r.options, r.capabilities, true)
	if err != nil {
		return nil, err
	}
	if !r.skipSchema {
		values, err := top.Table("Values")
		if err != nil {
			return nil, fmt.Errorf("read the merged values: %w", err)
		}
		if err := r.schemas.check(r.chart, values); err != nil {
			return nil, err
		}
	}
	files, err := engine.RenderWithClientProvider(r.chart, top, r.lookups)
	if err != nil {
		return nil, err
	}
	out.notes = takeNotes(r.chart.Name(), files)
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, err
	}
	out.manifest, out.hooks = join(manifests), hooks
	if r.post != nil {
		if out.manifest, out.hooks, err = r.post(out.manifest, out.hooks); err != nil {
			return nil, fmt.Errorf("error while running post render on files: %w", err)
		}
	}
	return out, nil
}

// announce adds the kinds that the chart defines in its directories crds to what
// the cluster can do: they are written after the templates were rendered and the
// result was allowed.
func (r *renderer) announce(out *rendering) error {
	if r.skipCRDs {
		return nil
	}
	definitions := files(r.chart)
	if sizeOf(definitions) > r.limit {
		return errTooMuch
	}
	for _, file := range definitions {
		objects, err := kube.Decode(bytes.NewReader(file.Data))
		if err != nil {
			return fmt.Errorf("read %s of the chart: %w", file.Name, err)
		}
		if out.kinds == nil {
			out.kinds = map[schema.GroupVersionKind]*meta.RESTMapping{}
		}
		maps.Copy(out.kinds, kube.Declared(objects))
	}
	r.lookups.coming = out.kinds
	for gvk := range out.kinds {
		for _, name := range []string{gvk.GroupVersion().String(), gvk.GroupVersion().String() + "/" + gvk.Kind} {
			if !r.capabilities.APIVersions.Has(name) {
				r.capabilities.APIVersions = append(r.capabilities.APIVersions, name)
			}
		}
	}
	return nil
}

// takeNotes removes the notes of a chart and of its subcharts from the files,
// and returns the chart's own.
func takeNotes(name string, files map[string]string) string {
	own := path.Join(name, "templates", notesFile)
	notes := files[own]
	for file := range files {
		if strings.HasSuffix(file, notesFile) {
			delete(files, file)
		}
	}
	if len(notes) > maxNotes {
		notes = strings.ToValidUTF8(notes[:maxNotes], "") + "\n[...]"
	}
	return notes
}

// join makes one text of manifests, as the SDK does.
func join(manifests []releaseutil.Manifest) string {
	var text strings.Builder
	for _, manifest := range manifests {
		fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", manifest.Name, manifest.Content)
	}
	return text.String()
}

// reuse adds values to those of a release before, for an upgrade that preserves
// them, and makes what that release ran with the defaults of the chart.
func (r *renderer) reuse(before *preserved) error {
	released, err := before.Chart.chart()
	if err != nil {
		return err
	}
	old, err := chartutil.CoalesceValues(released, before.Config)
	if err != nil {
		return fmt.Errorf("rebuild the values of %s.v%d: %w", before.Name, before.Version, err)
	}
	r.chart.Values = old
	r.values = chartutil.CoalesceTables(r.values, copyTable(before.Config))
	return nil
}

// enter puts what was rendered into the release that an action of the SDK has
// made of nothing.
func (r *rendering) enter(into *sdk.Release) {
	into.Chart, into.Config, into.Hooks = r.chart, r.values, r.hooks
	into.Manifest, into.Info.Notes = r.manifest, r.notes
}

// shell returns a chart without content, which stands in for the real one while
// the SDK's action prepares the release.
func (r *rendering) shell() *chart.Chart {
	metadata := *r.chart.Metadata
	metadata.Dependencies, metadata.KubeVersion = nil, ""
	return &chart.Chart{Metadata: &metadata}
}
