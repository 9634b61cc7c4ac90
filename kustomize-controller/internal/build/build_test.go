// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

const (
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
      - name: web
        image: ghcr.io/example/web:1.0.0
        env:
        - {name: CLUSTER, value: "${cluster}"}
        - {name: CONFIG, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
        resources: {limits: {cpu: 500m, nvidia.com/gpu: 1}}
`
	service = `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`
	account  = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n"
	settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, number: \"5\"}\n"
	ingressY = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {a/b: "true"}}
spec:
  ingressClassName: nginx
  rules:
  - host: web.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`
)

// head begins a kustomization file.
const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"

// build builds files with a new Builder.
func build(t testing.TB, options Options, files map[string]string, spec kustomizev1.KustomizationSpec) (*Result, error) {
	t.Helper()
	var values map[string]string
	if spec.PostBuild != nil {
		values = spec.PostBuild.Substitute
	}
	return New(options).Build(t.Context(), Request{
		SourceUID:     "uid",
		Digest:        "sha256:1",
		Root:          lay(t, files),
		Kustomization: &kustomizev1.Kustomization{Spec: spec},
		Variables:     values,
	})
}

func contents(objects []*unstructured.Unstructured) []map[string]any {
	var all []map[string]any
	for _, object := range objects {
		all = append(all, object.Object)
	}
	return all
}

// fluxCase is a build that is compared with Flux's.
type fluxCase struct {
	files map[string]string
	spec  kustomizev1.KustomizationSpec
}

// listing lists the files of appWith.
const listing = head + "resources: [deployment.yaml, service.yaml, account.yml, sub/settings.yaml, sub/ingress.yaml]\n"

// appWith returns the files of an app and more, given as name, content, name, content.
func appWith(more ...string) map[string]string {
	files := map[string]string{
		"app/deployment.yaml": deployment, "app/service.yaml": service, "app/account.yml": account,
		"app/sub/settings.yaml": settings, "app/sub/ingress.yaml": ingressY, "app/README.md": "# not: YAML: at all",
	}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

func webImage() []meta.Image {
	return []meta.Image{{Name: "ghcr.io/example/web", NewTag: "2.0.0"}}
}

func generatedCases() map[string]fluxCase {
	return map[string]fluxCase{
		"generated":                  {appWith(), kustomizev1.KustomizationSpec{Path: "app"}},
		"generated, path with dot":   {appWith(), kustomizev1.KustomizationSpec{Path: "./app/"}},
		"generated, from the root":   {appWith(), kustomizev1.KustomizationSpec{}},
		"generated, into namespace":  {appWith(), kustomizev1.KustomizationSpec{Path: "app", TargetNamespace: "team"}},
		"generated, empty directory": {map[string]string{"app/": ""}, kustomizev1.KustomizationSpec{Path: "app"}},
		"generated, a directory with a kustomization below": {
			appWith("app/sub/kustomization.yaml", head+"namePrefix: x-\nresources: [settings.yaml]\n"),
			kustomizev1.KustomizationSpec{Path: "app"},
		},
		"generated, a directory with a plain kustomization below": {
			appWith("app/sub/kustomization.yml", head+"namespace: inner\nresources: [settings.yaml]\n"),
			kustomizev1.KustomizationSpec{Path: "app"},
		},
	}
}

func listedCases() map[string]fluxCase {
	return map[string]fluxCase{
		"listed": {appWith("app/kustomization.yaml", listing), kustomizev1.KustomizationSpec{Path: "app"}},
		"listed, in another order": {
			appWith("app/Kustomization", head+"resources: [sub/ingress.yaml, service.yaml, deployment.yaml]\n"),
			kustomizev1.KustomizationSpec{Path: "app"},
		},
		"listed, namespaces nested": {
			appWith("app/kustomization.yaml", head+"namespace: outer\nresources: [service.yaml, sub]\n",
				"app/sub/kustomization.yaml", head+"namespace: inner\nresources: [settings.yaml]\n"),
			kustomizev1.KustomizationSpec{Path: "app"},
		},
		"listed, only the inner one has a namespace": {
			appWith("app/kustomization.yaml", head+"resources: [service.yaml, sub]\n",
				"app/sub/kustomization.yaml", head+"namespace: inner\nresources: [settings.yaml]\n"),
			kustomizev1.KustomizationSpec{Path: "app"},
		},
		"listed, with a field that kustomize does not know": {
			appWith("app/kustomization.yaml", listing+"commonLables: {a: b}\n"), kustomizev1.KustomizationSpec{Path: "app"},
		},
		"everything that a spec can add": {
			appWith("app/kustomization.yaml", listing+"namePrefix: old-\nimages: [{name: ghcr.io/example/web, newName: mirror/web, digest: sha256:"+
				strings.Repeat("a", 64)+"}]\npatches: [{patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 2}]', target: {kind: Deployment}}]\n",
				"app/parts/tls/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [tls.yaml]\n",
				"app/parts/tls/tls.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\nstringData: {a: b}\n"),
			kustomizev1.KustomizationSpec{
				Path: "app", TargetNamespace: "team", NamePrefix: "p-", NameSuffix: "-s", Images: webImage(),
				Components: []string{"parts/tls", "parts/missing"}, IgnoreMissingComponents: true,
				BuildMetadata: []kustomizev1.BuildMetadataOption{kustomizev1.BuildMetadataOriginAnnotations},
				Patches: []meta.Patch{{
					Patch:  "kind: any\nmetadata: {name: any, labels: {patched: yes-it-is}}\n",
					Target: &meta.Selector{Kind: "Deployment|Service", LabelSelector: "app=web"},
				}},
			},
		},
		"images over those of the file": {
			appWith("app/kustomization.yaml", listing+"images: [{name: ghcr.io/example/web, newName: mirror/web, newTag: old}]\n"),
			kustomizev1.KustomizationSpec{Path: "app", Images: webImage()},
		},
		"only a generator, which Flux marks with its origin": {
			map[string]string{"app/kustomization.yaml": head + "configMapGenerator: [{name: a, files: [b.txt], literals: [c=d]}]\n", "app/b.txt": "text"},
			kustomizev1.KustomizationSpec{Path: "app"},
		},
		"base, overlay, generators and replacements": {
			appWith("app/kustomization.yaml", listing, "prod/kustomization.yaml", head+`
resources: [../app]
nameSuffix: -prod
labels: [{pairs: {env: prod}, includeSelectors: true}]
replicas: [{name: web, count: 3}]
configMapGenerator: [{name: generated, literals: [a=b]}]
secretGenerator: [{name: secret, literals: [a=b]}]
replacements:
- source: {kind: ConfigMap, name: settings, fieldPath: data.number}
  targets: [{select: {kind: Deployment}, fieldPaths: [metadata.annotations.number], options: {create: true}}]
`),
			kustomizev1.KustomizationSpec{Path: "prod"},
		},
	}
}

func valueCases() map[string]fluxCase {
	return map[string]fluxCase{
		"lists taken apart": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(account), "\n", "\n  ") +
				"\n- " + strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n  ") + "\n"},
			kustomizev1.KustomizationSpec{},
		},
		"an object for kustomize alone": {
			map[string]string{"a.yaml": settings + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: local, annotations: {config.kubernetes.io/local-config: \"true\"}}\n"},
			kustomizev1.KustomizationSpec{},
		},
		"annotations that are not strings": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {a: true, b: 5, c: 1.50}}\n"},
			kustomizev1.KustomizationSpec{},
		},
		"numbers": {
			map[string]string{"a.yaml": "apiVersion: example.com/v1\nkind: Number\nmetadata: {name: a, creationTimestamp: null}\n" +
				"spec: {a: 1.0, b: 1e3, c: 0.1, d: 9223372036854775807, e: 18446744073709551615, f: -0.0, g: 1e21, h: 1.5e300, i: 0o17, j: 0x1f, " +
				"k: 017, l: 1_000, m: 2001-02-03, n: 2001-02-03T04:05:06Z, o: yes, p: off, q: ~, r: null, s: '5', t: 9223372036854775807.0, u: 1e20, v: +1, w: .5, x: 12e03, y: !!str 5, z: 0b11}\n"},
			kustomizev1.KustomizationSpec{},
		},
		"keys that are numbers": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {5: a, -7: b}\n"},
			kustomizev1.KustomizationSpec{},
		},
		"bindings follow the namespace": {
			map[string]string{"a.yaml": account + "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: web}\n" +
				"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}\nsubjects: [{kind: ServiceAccount, name: web}, {kind: ServiceAccount, name: default, namespace: x}]\n" +
				"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: before}\n"},
			kustomizev1.KustomizationSpec{TargetNamespace: "team"},
		},
	}
}

func variableCases() map[string]fluxCase {
	return map[string]fluxCase{
		"variables": {appWith(), kustomizev1.KustomizationSpec{Path: "app", PostBuild: &kustomizev1.PostBuild{
			Substitute: map[string]string{"cluster": "prod\n-1"},
		}}},
		"variables of every form": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'a-${n:=x}', labels: {l: \"${n:=x}\"}}\ndata:\n" +
				"  a: ${number}\n  b: \"${number}\"\n  c: $${number} $number $$ $${\n  d: ${word^^} ${#word} ${word:1:2} ${word/o/0} ${word%rd}\n" +
				"  e: |\n    line ${word}\n    ${missing:-none} ${missing:=x}\n  f: ${list}\n  ${word}: key\n"},
			kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{
				Substitute: map[string]string{"number": "5", "word": "word", "list": "[a, {b: c}]"},
			}},
		},
		"variables, none set": {
			map[string]string{"a.yaml": strings.Replace(settings, "fast", `"${speed:=slow}"`, 1)},
			kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{}},
		},
		"variables, none set, always": {
			map[string]string{"a.yaml": strings.Replace(settings, "fast", `"${speed:=slow}"`, 1)},
			kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{SubstituteStrategy: kustomizev1.SubstituteStrategyAlways}},
		},
		"variables, disabled": {
			map[string]string{
				"a.yaml": strings.Replace(settings, "{name: settings}", "{name: a, labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}}", 1) + "  # ${x}\n",
				"b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {a: \"${x}\"}\n",
				"c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {kustomize.toolkit.fluxcd.io/substitute: Disabled}}\ndata: {a: \"${x}\"}\n",
			},
			kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{Substitute: map[string]string{"x": "y"}}},
		},
	}
}

func TestBuildIsWhatFluxBuilds(t *testing.T) {
	t.Parallel()
	tests := map[string]fluxCase{}
	for _, cases := range []map[string]fluxCase{generatedCases(), listedCases(), valueCases(), variableCases()} {
		maps.Copy(tests, cases)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := reference(t.Context(), t, tc.files, tc.spec)
			if err != nil {
				t.Fatalf("the reference: %v", err)
			}
			got, err := build(t, Options{NoRemoteBases: true}, tc.files, tc.spec)
			if err != nil {
				t.Fatalf("Build: %v", err)
			}
			if diff := cmp.Diff(contents(want), contents(got.Objects)); diff != "" {
				t.Errorf("not what Flux builds (-flux +ours):\n%s", diff)
			}
			if len(got.Origins) != len(got.Objects) {
				t.Errorf("%d origins for %d objects", len(got.Origins), len(got.Objects))
			}
		})
	}
}
