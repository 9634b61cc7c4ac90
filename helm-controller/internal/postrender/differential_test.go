// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package postrender_test

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/provider"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
)

// corpus are objects that charts render, the strange ones too.
func corpus() []string {
	return []string{
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: NAME\ndata:\n  text: |\n    ---\n    a: b\n  octal: \"0777\"\n  yes: \"yes\"\n",
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: NAME\n  namespace: other\nstringData: {a: b}\n",
		"apiVersion: v1\nkind: Service\nmetadata:\n  name: NAME\n  labels: {app: NAME}\nspec:\n  ports:\n  - {port: 80, protocol: TCP}\n  - {port: 80, protocol: UDP}\n",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: NAME\n  annotations: {a: \"1\"}\nspec:\n  replicas: 3\n  template:\n    spec:\n      initContainers:\n      - {name: init, image: \"busybox:1\"}\n" +
			"      containers:\n      - name: main\n        image: registry.example.com:5000/app:v1\n        args: [--a, --b=1e3, \"0x10\"]\n        env:\n        - {name: A, value: \"1\"}\n        - name: B\n          valueFrom: {configMapKeyRef: {name: NAME, key: text}}\n",
		"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: NAME}\nspec:\n  schedule: \"* * * * *\"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers: [{name: main, image: busybox}]\n",
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: NAME.example.com}\nspec:\n  group: example.com\n  versions:\n  - name: v1\n    served: true\n    schema: {openAPIV3Schema: {type: object, properties: {image: {type: string, default: busybox}}}}\n",
		"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: NAME}\nspec:\n  containers: [{name: main, image: \"busybox@sha256:abc\"}]\n  on: off\n  big: 12345678901234567\n  tiny: 1.50\n  list: [{name: a, v: 1}, {name: b, v: 2}]\n",
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ServiceAccount\n  metadata: {name: NAME}\n- apiVersion: rbac.authorization.k8s.io/v1\n  kind: RoleBinding\n  metadata: {name: NAME}\n  subjects: [{kind: ServiceAccount, name: NAME}]\n  roleRef: {kind: Role, name: NAME, apiGroup: rbac.authorization.k8s.io}\n",
		"apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: NAME\n  annotations: {helm.sh/hook: pre-install}\nspec:\n  template:\n    spec:\n      containers: [{name: main, image: \"busybox:1\"}]\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: NAME-local\n  annotations: {config.kubernetes.io/local-config: \"true\"}\n",
		"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: NAME}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}\n  maxReplicas: 5\n",
		"# a comment\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: NAME\n  labels: &l {a: b}\n  annotations: *l\n",
	}
}

func patches() []meta.Patch {
	deployments, all := &meta.Selector{Kind: "Deployment"}, &meta.Selector{Name: ".*"}
	return []meta.Patch{
		{Patch: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: 7\n  template:\n    spec:\n      containers:\n      - {name: main, resources: {limits: {nvidia.com/gpu: 1}}}\n      - {name: side, image: busybox}\n"},
		{Patch: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec:\n  replicas: null\n  template: {spec: {tolerations: [{operator: Exists}]}}\n", Target: deployments},
		{Patch: "- {op: replace, path: /spec/replicas, value: 9}\n- {op: add, path: /metadata/annotations/new, value: \"x\"}\n", Target: deployments},
		{Patch: "- {op: add, path: /metadata/annotations/everywhere, value: \"1\"}\n", Target: all},
		{Patch: "- {op: add, path: /metadata/labels, value: {only: this}}\n", Target: &meta.Selector{Kind: "Service|Secret"}},
		{Patch: "$patch: delete\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: any}\n", Target: &meta.Selector{Kind: "ConfigMap"}},
		{Patch: "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec:\n  ports:\n  - {port: 80, protocol: UDP, name: dns}\n  - {port: 443}\n"},
		{Patch: "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: c}\nspec:\n  list: [{name: a, v: 5}]\n"},
		{Patch: "- {op: replace, path: /metadata/name, value: renamed}\n", Target: &meta.Selector{Kind: "ConfigMap", Name: "a"}},
		{Patch: "- {op: test, path: /spec/replicas, value: 3}\n- {op: remove, path: /spec/replicas}\n", Target: &meta.Selector{Kind: "Deployment", LabelSelector: "!app"}},
		{Patch: "- {op: replace, path: /metadata/namespace, value: moved}\n", Target: &meta.Selector{Kind: "Secret", Namespace: "other"}},
		{Patch: "- {op: remove, path: /nothing}\n", Target: &meta.Selector{Kind: "Job"}},
		{Patch: "apiVersion: v1\nkind: Pod\nmetadata: {name: missing}\n"},
		{Patch: "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {b: c}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b, labels: {b: c}}\n"},
	}
}

func images() []meta.Image {
	return []meta.Image{
		{Name: "busybox", NewTag: "2"}, {Name: "registry.example.com:5000/app", NewName: "mirror/app", Digest: "sha256:24a0c4b4"},
		{Name: "busybox", NewName: "mirror/busybox"}, {Name: "nothing", NewTag: "1"},
	}
}

func some[T any](random *rand.Rand, from []T, most int) (chosen []T) {
	for range random.IntN(most + 1) {
		chosen = append(chosen, from[random.IntN(len(from))])
	}
	return chosen
}

// TestEqualsKustomize compares with what kustomize itself makes of the same
// objects: its errors have to be errors, and its objects the same.
func TestEqualsKustomize(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 50
	}
	failed := 0
	for seed := range seeds {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		var objects []string
		for range 1 + random.IntN(6) {
			text := corpus()[random.IntN(len(corpus()))]
			objects = append(objects, strings.ReplaceAll(text, "NAME", string(rune('a'+random.IntN(3)))))
		}
		renderer := helmv2.PostRenderer{Kustomize: &helmv2.Kustomize{Patches: some(random, patches(), 3), Images: some(random, images(), 2)}}
		got, gotErr := run(t, release(renderer), objects)
		want, wantErr := build(t, renderer.Kustomize, objects)
		if wantErr != nil {
			failed++
		}
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("seed %d: the error is %v, and kustomize's %v; objects\n%s\n%+v", seed, gotErr, wantErr, strings.Join(objects, "---\n"), renderer.Kustomize)
		}
		if diff := cmp.Diff(want, got); wantErr == nil && diff != "" {
			t.Fatalf("seed %d (-kustomize +ours):\n%s\nobjects\n%s\n%+v", seed, diff, strings.Join(objects, "---\n"), renderer.Kustomize)
		}
	}
	if failed == 0 || failed > seeds*3/4 {
		t.Errorf("%d of %d builds failed: the test says little", failed, seeds)
	}
}

// TestConcurrency runs chains at once: kustomize has globals. The race
// detector tells.
func TestConcurrency(t *testing.T) {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for seed := range 20 {
				random := rand.New(rand.NewPCG(uint64(seed), uint64(worker)))
				objects := strings.Join(corpus(), "---\n")
				chain, err := postrender.New(release(helmv2.PostRenderer{Kustomize: &helmv2.Kustomize{Patches: some(random, patches(), 3)}}))
				if err != nil {
					t.Error(err)
					return
				}
				_, _, _ = chain.Run([]byte(strings.ReplaceAll(objects, "NAME", "a")), nil)
			}
		})
	}
	wg.Wait()
}

func release(renderers ...helmv2.PostRenderer) *helmv2.HelmRelease {
	return &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "app"}, Spec: helmv2.HelmReleaseSpec{PostRenderers: renderers}}
}

// run returns the objects that the chain makes, encoded and sorted.
func run(t *testing.T, obj *helmv2.HelmRelease, objects []string) ([]string, error) {
	t.Helper()
	chain, err := postrender.New(obj)
	if err != nil {
		return nil, err
	}
	manifest, _, err := chain.Run([]byte("---\n"+strings.Join(objects, "---\n")), nil)
	if err != nil {
		return nil, err
	}
	return canonical(t, string(manifest)), nil
}

// build has kustomize do it, with the annotation that Helm 4 adds meanwhile.
func build(t *testing.T, spec *helmv2.Kustomize, objects []string) ([]string, error) {
	t.Helper()
	const key = "postrenderer.helm.sh/postrender-filename"
	files, config := filesys.MakeFsInMemory(), kustomize.Kustomization{Resources: []string{"in.yaml"}}
	config.APIVersion, config.Kind = kustomize.KustomizationVersion, kustomize.KustomizationKind
	for _, p := range spec.Patches {
		patch := kustomize.Patch{Patch: p.Patch}
		if p.Target != nil {
			patch.Target = &kustomize.Selector{LabelSelector: p.Target.LabelSelector}
			patch.Target.Kind, patch.Target.Name, patch.Target.Namespace = p.Target.Kind, p.Target.Name, p.Target.Namespace
		}
		config.Patches = append(config.Patches, patch)
	}
	for _, i := range spec.Images {
		config.Images = append(config.Images, kustomize.Image{Name: i.Name, NewName: i.NewName, NewTag: i.NewTag, Digest: i.Digest})
	}
	encoded, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	input := annotate(t, objects, key)
	if err := files.WriteFile("kustomization.yaml", encoded); err != nil {
		t.Fatal(err)
	}
	if err := files.WriteFile("in.yaml", []byte(input)); err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, ".")
	if err != nil {
		return nil, err
	}
	for _, r := range built.Resources() {
		annotations, labels := r.GetAnnotations(), r.GetLabels()
		delete(annotations, key)
		labels[helmv2.OwnerNameLabel], labels[helmv2.OwnerNamespaceLabel] = "app", "team"
		if err := r.SetAnnotations(annotations); err != nil {
			t.Fatal(err)
		}
		if err := r.SetLabels(labels); err != nil {
			t.Fatal(err)
		}
	}
	out, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, string(out)), nil
}

// annotate adds an annotation to each object in the text, since kustomize
// reads values as they are spelled.
func annotate(t *testing.T, objects []string, key string) string {
	t.Helper()
	factory := provider.NewDefaultDepProvider().GetResourceFactory()
	var annotated []string
	for _, text := range objects {
		read, err := factory.SliceFromBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range read {
			annotations := r.GetAnnotations()
			annotations[key] = "file"
			if err := r.SetAnnotations(annotations); err != nil {
				t.Fatal(err)
			}
			out, err := r.AsYAML()
			if err != nil {
				t.Fatal(err)
			}
			annotated = append(annotated, string(out))
		}
	}
	return strings.Join(annotated, "---\n")
}

func canonical(t *testing.T, manifest string) (objects []string) {
	t.Helper()
	for text := range strings.SplitSeq("\n"+manifest, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(fmt.Errorf("%w in\n%s", err, text))
		}
		if object == nil {
			continue
		}
		out, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, string(out))
	}
	sort.Strings(objects)
	return objects
}
