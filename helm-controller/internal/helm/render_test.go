// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/testkit"
)

type renderCase struct {
	chart  testkit.HelmChart
	values map[string]any
	want   string // in what is rendered
	not    string // not in it
	fails  string // in the error
}

// renders lists charts to render, some of which refer to a schema at a URL.
func renders(address string) map[string]renderCase {
	part := testkit.HelmChart{Name: "part", Values: "on: yes\n"}.ConfigMap("part", "{{ .Values.global.zone }}")
	base := testkit.HelmChart{Name: "app", Values: "global: {zone: a}\npart: {enabled: true}\n"}.ConfigMap("own", "{{ .Values.part.on }}")
	whole := base
	whole.Subcharts = []testkit.HelmChart{part}
	whole.Dependencies = []testkit.HelmDependency{{Name: "part", Version: "0.1.0", Condition: "part.enabled"}}
	schema := func(text string) testkit.HelmChart { return base.With("values.schema.json", text) }
	future := base
	future.KubeVersion = ">= 9.0.0"
	return map[string]renderCase{
		"subchart":          {chart: whole, want: `"value":"a"`},
		"subchart disabled": {chart: whole, values: map[string]any{"part": map[string]any{"enabled": false}}, not: "app-part"},
		"marks":             {chart: base, want: `"app.kubernetes.io/managed-by":"Helm"`},
		"origin":            {chart: base, want: `"helm.toolkit.fluxcd.io/name":"app"`},
		"lookup": {
			chart: base.ConfigMap("seen", `{{ (lookup "v1" "ConfigMap" .Release.Namespace "known").data.value }}`), want: `"value":"found"`,
		},
		"lookup of nothing": {
			chart: base.ConfigMap("seen", `{{ lookup "v1" "ConfigMap" .Release.Namespace "unknown" | empty }}`), want: `"value":"true"`,
		},
		"lookup of an unknown kind": {
			chart: base.ConfigMap("seen", `{{ lookup "example.com/v9" "Nothing" "" "" }}`), fails: "look up Nothing of example.com/v9",
		},
		"lookup of its own kind": {
			chart: base.CRD("render.example.com", "Widget").ConfigMap("seen", `{{ lookup "render.example.com/v1" "Widget" .Release.Namespace "" | toJson | b64enc }}`),
			want:  "app-seen",
		},
		"capabilities": {
			chart: base.ConfigMap("seen", `{{ .Capabilities.APIVersions.Has "apps/v1/Deployment" }} {{ .Capabilities.KubeVersion.Major }}`),
			want:  `"value":"true 1"`,
		},
		"its own kind": {
			chart: base.CRD("render.example.com", "Widget").ConfigMap("seen", `{{ .Capabilities.APIVersions.Has "render.example.com/v1/Widget" }}`),
			want:  `"value":"true"`,
		},
		"a version that is not served": {
			chart: base.With("crds/old.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: olds.render.example.com}\n"+
				"spec: {group: old.example.com, scope: Namespaced, names: {kind: Old, plural: olds}, "+
				"versions: [{name: v1, served: true}, {name: v1beta1, served: false}]}\n").
				ConfigMap("seen", `{{ .Capabilities.APIVersions.Has "old.example.com/v1" }} {{ .Capabilities.APIVersions.Has "old.example.com/v1beta1" }}`),
			want: `"value":"true false"`,
		},
		"kubeVersion": {chart: future, fails: "chart requires kubeVersion: >= 9.0.0"},
		"broken": {
			chart: base.With("templates/broken.yaml", "a: {{ .Values.none.none }}"), fails: "app/templates/broken.yaml:1",
		},
		"not YAML": {chart: base.With("templates/broken.yaml", "a: b: c"), fails: "app/templates/broken.yaml"},
		"no template": {
			chart: base.With("templates/broken.yaml", "{{ nothing }}"), fails: `function "nothing" not defined`,
		},
		"required": {
			chart: base.ConfigMap("seen", `{{ required "size is missing" .Values.size }}`), fails: "size is missing",
		},
		"secrets": {
			chart: base.ConfigMap("seen", `{{ fail (print "no " .Values.password) }}`), values: map[string]any{"password": "hunter2"}, fails: "no ***",
		},
		"no DNS": {chart: base.ConfigMap("seen", `[{{ getHostByName "localhost" }}]`), want: `"value":"[]"`},
		"schema": {
			chart: schema(`{"properties": {"size": {"type": "integer"}}}`), values: map[string]any{"size": "big"},
			fails: "app:\n- at '/size': got string, want integer",
		},
		"schema kept": {chart: schema(`{"properties": {"size": {"type": "integer"}}}`), values: map[string]any{"size": 1.0}, want: "app-own"},
		"schema with a file": {
			chart: schema(`{"$ref": "file:///etc/hostname"}`), fails: "outside of the chart",
		},
		"schema from the network": {
			chart: schema(`{"properties": {"size": {"$ref": "` + address + `/size.json"}}}`), values: map[string]any{"size": "big"},
			fails: "got string, want integer",
		},
		"schema of a URN": {chart: schema(`{"$ref": "urn:example:any"}`), want: "app-own"},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.admin.CoreV1().ConfigMaps(r.namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "known"}, Data: map[string]string{"value": "found"},
	}, metav1.CreateOptions{})
	r.must(err)
	schemas := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"type": "integer"}`))
	}))
	defer schemas.Close()
	for name, c := range renders(schemas.URL) {
		t.Run(name, func(t *testing.T) {
			job := r.job(state.None, r.chart(c.chart), c.values)
			job.Schemas = schemas.Client()
			job.Redact = func(text string) string { return strings.ReplaceAll(text, "hunter2", "***") }
			_, after, err := shared.Render(t.Context(), job)
			got := ""
			for _, obj := range after {
				raw, _ := json.Marshal(obj)
				got += string(raw) + "\n"
			}
			switch {
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("the error is %v, want %q in it", err, c.fails)
			case c.fails == "" && err != nil:
				t.Error(err)
			case !strings.Contains(got, c.want), c.not != "" && strings.Contains(got, c.not):
				t.Errorf("rendered to\n%s", got)
			}
		})
	}
	if got := r.history(); len(got) > 0 {
		t.Errorf("rendering has stored %v", got)
	}
}

func TestRenderOfAnUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.done(r.job(state.Install, r.chart(app("1.0.0")), map[string]any{"size": 2.0, "more": "kept"}))
	r.object.Spec.Upgrade = &helmv2.Upgrade{PreserveValues: true}
	chart := r.chart(app("1.0.0").ConfigMap("more", "{{ .Values.more }} {{ .Release.Revision }}"))
	before, after, err := shared.Render(t.Context(), r.job(state.None, chart, map[string]any{"size": 3.0}))
	r.must(err)
	if len(before) != 1 || len(after) != 2 || value(after[0]) != "kept 2" || value(after[1]) != "3" {
		t.Errorf("from %v to %v", before, after)
	}
}

func value(obj *unstructured.Unstructured) string {
	text, _, _ := unstructured.NestedString(obj.Object, "data", "value")
	return text
}

// TestHooksArePostRendered checks what is stored, and that a patch can make a
// hook of an object.
func TestHooksArePostRendered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.object.Spec.PostRenderers = []helmv2.PostRenderer{{Kustomize: &helmv2.Kustomize{Patches: []meta.Patch{
		{Patch: "- {op: replace, path: /data/value, value: patched}", Target: &meta.Selector{Kind: "ConfigMap"}},
		{
			Patch:  `- {op: add, path: /metadata/annotations, value: {helm.sh/hook: post-install, helm.sh/hook-weight: "7"}}`,
			Target: &meta.Selector{Name: "app-late"},
		},
	}}}}
	got := r.done(r.job(state.Install, r.chart(app("1.0.0").Hook("early", "pre-install", 5, "raw").ConfigMap("late", "raw")), nil))
	if strings.Contains(got.Manifest, "app-late") || !strings.Contains(got.Manifest, "app-settings") {
		t.Errorf("the manifest is\n%s", got.Manifest)
	}
	if len(got.Hooks) != 2 {
		t.Fatalf("the hooks are %+v", got.Hooks)
	}
	for _, hook := range got.Hooks {
		if hook.LastRun.Phase != "Succeeded" || !strings.Contains(hook.Manifest, "value: patched") {
			t.Errorf("the hook is %+v", hook)
		}
	}
	for _, name := range []string{"app-early", "app-late", "app-settings"} {
		if got := r.value(name); got != "patched" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}
