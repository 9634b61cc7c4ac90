// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package postrender_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
)

const (
	manifest = `---
# Source: chart/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    team: chart
---
# Source: chart/templates/account.yaml
apiVersion: v1
kind: ServiceAccount
metadata:
  name: account
`
	hook = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: pre-install\n"

	labeled = "  labels:\n    helm.toolkit.fluxcd.io/name: app\n    helm.toolkit.fluxcd.io/namespace: team\n"
)

func accountPatch(text string) helmv2.PostRenderer {
	return helmv2.PostRenderer{Kustomize: &helmv2.Kustomize{Patches: []meta.Patch{{Patch: text, Target: &meta.Selector{Kind: "ServiceAccount"}}}}}
}

type runCase struct {
	change   func(*helmv2.HelmReleaseSpec)
	hooks    []string
	want     string
	wantHook []string
}

func runCases() map[string]runCase {
	plain := "---\n# Source: chart/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n" + labeled + "    team: chart\n  name: web\n" +
		"---\n# Source: chart/templates/account.yaml\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n" + labeled + "  name: account\n"
	plainHook := "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    helm.sh/hook: pre-install\n" + labeled + "  name: hook\n"
	marked := strings.Replace(plain, "kind: ServiceAccount\nmetadata:\n", "kind: ServiceAccount\nmetadata:\n  annotations:\n    a: b\n", 1)
	markedHook := strings.Replace(plainHook, "    helm.sh/hook", "    a: b\n    helm.sh/hook", 1)
	mark := accountPatch("- {op: add, path: /metadata/annotations/a, value: b}\n")

	return map[string]runCase{
		"nothing but the origin": {change: func(*helmv2.HelmReleaseSpec) {}, hooks: []string{hook}, want: plain, wantHook: []string{plainHook}},
		"common metadata wins over the chart, the origin over both": {
			change: func(s *helmv2.HelmReleaseSpec) {
				s.CommonMetadata = &meta.CommonMetadata{Labels: map[string]string{"team": "spec", helmv2.OwnerNameLabel: "other"}, Annotations: map[string]string{"a": "1"}}
			},
			want: "---\n# Source: chart/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    a: \"1\"\n" + labeled + "    team: spec\n  name: web\n" +
				"---\n# Source: chart/templates/account.yaml\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    a: \"1\"\n" + labeled + "    team: spec\n  name: account\n",
		},
		"combined changes both": {
			change: func(s *helmv2.HelmReleaseSpec) { s.PostRenderers = []helmv2.PostRenderer{mark} },
			hooks:  []string{hook}, want: marked, wantHook: []string{markedHook},
		},
		"separate changes both": {
			change: func(s *helmv2.HelmReleaseSpec) {
				s.PostRenderers, s.PostRenderStrategy = []helmv2.PostRenderer{mark}, helmv2.PostRenderStrategySeparate
			},
			hooks: []string{hook}, want: marked, wantHook: []string{markedHook},
		},
		"nohooks leaves hooks as they are": {
			change: func(s *helmv2.HelmReleaseSpec) {
				s.PostRenderers, s.PostRenderStrategy = []helmv2.PostRenderer{mark}, helmv2.PostRenderStrategyNoHooks
			},
			hooks: []string{hook}, want: marked, wantHook: []string{hook},
		},
		"a hook is deleted": {
			change: func(s *helmv2.HelmReleaseSpec) {
				s.PostRenderers = []helmv2.PostRenderer{{Kustomize: &helmv2.Kustomize{Patches: []meta.Patch{
					{Patch: "$patch: delete\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: hook}\n"},
				}}}}
			},
			hooks: []string{hook}, want: plain,
		},
		"one after the other": {
			change: func(s *helmv2.HelmReleaseSpec) {
				s.PostRenderers = []helmv2.PostRenderer{mark, {}, accountPatch("- {op: test, path: /metadata/annotations/a, value: b}\n- {op: remove, path: /metadata/annotations/a}\n")}
			},
			want: plain,
		},
		"one object twice, separately": {
			change: func(s *helmv2.HelmReleaseSpec) { s.PostRenderStrategy = helmv2.PostRenderStrategySeparate },
			hooks:  []string{strings.Replace(hook, "name: hook", "name: account", 1)}, want: plain,
			wantHook: []string{strings.Replace(plainHook, "name: hook", "name: account", 1)},
		},
	}
}

func TestRun(t *testing.T) {
	for name, tc := range runCases() {
		t.Run(name, func(t *testing.T) {
			obj := release()
			tc.change(&obj.Spec)
			chain, err := postrender.New(obj)
			if err != nil {
				t.Fatal(err)
			}
			var hooks []postrender.Hook
			for _, text := range tc.hooks {
				hooks = append(hooks, postrender.Hook{Name: "hook", Path: "chart/templates/hook.yaml", Manifest: text})
			}
			got, changed, err := chain.Run([]byte(manifest), hooks)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			var gotHook []string
			for _, h := range changed {
				gotHook = append(gotHook, h.Manifest)
			}
			if diff := cmp.Diff(tc.wantHook, gotHook); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	const account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: account}\n"
	for name, tc := range map[string]struct {
		manifest string
		hooks    []postrender.Hook
		patches  []string
		strategy helmv2.PostRenderStrategy
		want     string
	}{
		"one object twice":          {manifest: manifest, hooks: []postrender.Hook{{Path: "t/hook.yaml", Manifest: account}}, want: "hook t/hook.yaml: ServiceAccount account is there twice"},
		"no kind":                   {manifest: "---\n# Source: t/a.yaml\nsecret: value\n", want: "read t/a.yaml: it is not a Kubernetes object in YAML"},
		"no YAML":                   {manifest: "---\n# Source: t/a.yaml\nsecret: 'value\n", want: "read t/a.yaml: it is not a Kubernetes object in YAML (line 2)"},
		"a value where a map is":    {manifest: "---\n# Source: t/a.yaml\napiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: value}\n", want: "set labels:"},
		"an alias of itself":        {manifest: "---\n# Source: t/a.yaml\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\nvalue: &a [*a]\n", want: "read t/a.yaml: it is not a Kubernetes object in YAML"},
		"aliases without end":       {manifest: "---\n# Source: t/a.yaml\n" + bomb(), want: "read t/a.yaml: it is not a Kubernetes object in YAML"},
		"a patch of nothing":        {manifest: manifest, patches: []string{account + "---\n" + strings.ReplaceAll(account, "name: account", "name: other")}, want: "spec.postRenderers[0].kustomize: patches[0]: there is no ServiceAccount other, or more than one"},
		"an empty patch":            {manifest: manifest, patches: []string{""}, want: "spec.postRenderers[0].kustomize: patches[0]: it is empty"},
		"a patch that is none":      {manifest: manifest, patches: []string{"text"}, want: "spec.postRenderers[0].kustomize: patches[0]: it is neither a strategic merge nor JSON operations"},
		"a patch that needs a goal": {manifest: manifest, patches: []string{"- {op: remove, path: /a}"}, want: "spec.postRenderers[0].kustomize: patches[0]: it is JSON operations, which need a target"},
		"a patch with an alias":     {manifest: manifest, patches: []string{"a: &a [*a]"}, want: "spec.postRenderers[0].kustomize: patches[0]: it is not a Kubernetes object in YAML"},
		"an unknown strategy":       {manifest: manifest, strategy: "none", want: `spec.postRenderStrategy "none" is none of`},
	} {
		t.Run(name, func(t *testing.T) {
			obj := release()
			obj.Spec.PostRenderStrategy = tc.strategy
			for _, text := range tc.patches {
				obj.Spec.PostRenderers = append(obj.Spec.PostRenderers, helmv2.PostRenderer{Kustomize: &helmv2.Kustomize{Patches: []meta.Patch{{Patch: text}}}})
			}
			chain, err := postrender.New(obj)
			if err == nil {
				_, _, err = chain.Run([]byte(tc.manifest), tc.hooks)
			}
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Fatalf("the error is %v, want %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "value") {
				t.Errorf("the error holds content: %v", err)
			}
		})
	}
}

// bomb is a document whose aliases stand for billions of values.
func bomb() string {
	text := "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		one, next := string(rune('0'+i%10)), string(rune('0'+(i+1)%10))
		text += "b" + string(rune('a'+i)) + ": &a" + next + " [" + strings.Repeat("*a"+one+", ", 9) + "*a" + one + "]\n"
	}
	return text
}

func FuzzRun(f *testing.F) {
	for _, text := range corpus() {
		f.Add(text)
	}
	f.Add(manifest)
	chain, err := postrender.New(release(accountPatch("- {op: add, path: /metadata/annotations/a, value: b}\n")))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := chain.Run([]byte(text), nil)
		if err != nil {
			return
		}
		again, _, err := chain.Run(got, nil)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("a second run makes\n%s\nof\n%s\n%v", again, got, err)
		}
	})
}
