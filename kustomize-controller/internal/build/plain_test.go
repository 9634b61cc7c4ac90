// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// compare builds what is laid over a tree with and without kustomize. It returns whether the plain way was taken at all.
func compare(ctx context.Context, t *testing.T, b *Builder, root string, files map[string]string, target string) bool {
	t.Helper()
	tree, err := overlay.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for name, content := range files {
		tree.Lay(name, []byte(content))
	}
	show := func() string {
		var text strings.Builder
		for _, name := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(&text, "-- %s --\n%s\n", name, files[name])
		}
		return text.String()
	}
	asked := &Request{Root: root, Kustomization: &kustomizev1.Kustomization{Spec: kustomizev1.KustomizationSpec{TargetNamespace: target}}}
	p, err := b.plan(ctx, tree, ".")
	if err != nil {
		empty := &plan{dir: ".", file: defaultFile}
		if empty.kustomization, err = readRoot(defaultFile, []byte(files[defaultFile])); err != nil {
			return false
		}
		if _, rendered := b.render(ctx, tree, empty, asked); rendered == nil {
			t.Fatalf("refused, but kustomize can build it: %v\n%s", err, show())
		}
		return false
	}
	if !p.plain {
		return false
	}
	got, ok := b.plainer.place(p.entries, target)
	if !ok {
		return false
	}
	want, err := b.render(ctx, tree, p, asked)
	if err != nil {
		t.Fatalf("kustomize cannot build it, and the plain way does: %v\n%s", err, show())
	}
	if diff := cmp.Diff(bare(want.entries), bare(got)); diff != "" {
		t.Fatalf("not what kustomize builds (-kustomize +plain):\n%s\nin namespace %q:\n%s", diff, target, show())
	}
	return true
}

func bare(entries []entry) []map[string]any {
	all := make([]map[string]any, len(entries))
	for i := range entries {
		all[i] = entries[i].content
	}
	return all
}

// TestPlainIsWhatKustomizeBuilds compares on random objects: valid ones of all kinds whose references kustomize follows,
// and ones that are wrong in some place.
func TestPlainIsWhatKustomizeBuilds(t *testing.T) {
	t.Parallel()
	const rounds = 400
	b, root := New(Options{}), lay(t, map[string]string{"sub/": ""})
	plain := 0
	for seed := range uint64(rounds) {
		m := mutator{rand.New(rand.NewPCG(seed, 1))}
		files, target := m.files()
		if compare(t.Context(), t, b, root, files, target) {
			plain++
		}
	}
	// Without this the test could pass by leaving everything to kustomize.
	if plain < rounds/8 {
		t.Errorf("the plain way was taken only %d times of %d", plain, rounds)
	}
	t.Logf("the plain way was taken %d times of %d", plain, rounds)
}

// FuzzPlain compares on what the fuzzer comes up with.
func FuzzPlain(f *testing.F) {
	for seed := range uint64(40) {
		m := mutator{rand.New(rand.NewPCG(seed, 2))}
		files, target := m.files()
		f.Add(files["a.yaml"], files["sub/b.yaml"], target)
	}
	f.Add(deployment+"---\n"+service, ingressY, "team")
	f.Add("a: &a {b: c}\nd: *a\napiVersion: v1\nkind: X\nmetadata: {name: x}\n", "- a\n", "")
	f.Add("apiVersion: v1\nkind: X\nmetadata: {name: x}\nbase: &b {c: 1}\nm: {<<: *b, d: 2}\ns: !!binary aGk=\n", "", "x")
	b := New(Options{})
	f.Fuzz(func(t *testing.T, first, second, target string) {
		if strings.ContainsAny(target, "\x00\n") {
			return
		}
		root := t.TempDir()
		compare(t.Context(), t, b, root, map[string]string{
			"a.yaml": first, "b.yaml": second, defaultFile: head + "resources: [a.yaml, b.yaml]\n",
		}, target)
	})
}

// mutator makes objects, most of them right.
type mutator struct {
	*rand.Rand
}

// files returns two files and the kustomizations that list them, and a target namespace.
func (m mutator) files() (map[string]string, string) {
	inner, outer := "", ""
	if m.IntN(3) == 0 {
		inner = "namespace: inner\n"
	}
	if m.IntN(3) == 0 {
		outer = "namespace: outer\n"
	}
	files := map[string]string{
		"a.yaml": m.file(), "sub/b.yaml": m.file(),
		defaultFile:              head + outer + "resources: [a.yaml, sub]\n",
		"sub/kustomization.yaml": head + inner + "resources: [b.yaml]\n",
	}
	targets := []string{"", "", "", "team", "123", "1e3", "true", "null", "0x1f"}
	return files, targets[m.IntN(len(targets))]
}

func (m mutator) file() string {
	var documents []string
	for range m.IntN(3) + 1 {
		object := m.object()
		if m.IntN(5) == 0 {
			m.damage(object, 0)
		}
		data, err := yaml.Marshal(object)
		if err != nil {
			panic(err)
		}
		documents = append(documents, string(data))
	}
	separator := []string{"---\n", "--- # next\n", "---\n---\n"}[m.IntN(3)]
	return strings.Join(documents, separator)
}

// object returns one of the objects of testdata below with a name that is mostly its own.
func (m mutator) object() map[string]any {
	var object map[string]any
	if err := yaml.Unmarshal([]byte(kinds[m.IntN(len(kinds))]), &object); err != nil {
		panic(err)
	}
	metadata := map[string]any{"name": fmt.Sprintf("n%d", m.IntN(200))}
	if m.IntN(4) == 0 {
		metadata["namespace"] = []string{"one", "two", "default"}[m.IntN(3)]
	}
	if m.IntN(4) == 0 {
		metadata["annotations"] = map[string]any{"a/b": m.text(), "c": "d"}
	}
	if m.IntN(4) == 0 {
		metadata["labels"] = map[string]any{"l": m.text()}
	}
	object["metadata"] = metadata
	return object
}

func (m mutator) text() string {
	texts := []string{"", "yes", "5", "true", "null", "~", "a: b", "2001-01-01", "0x1f", "1e3", "text", "${x}", "- a", "#", " pad ", "é\u2028", "l1\nl2\n"}
	return texts[m.IntN(len(texts))]
}

// damage changes one place of an object.
func (m mutator) damage(object map[string]any, depth int) {
	keys := slices.Sorted(maps.Keys(object))
	if len(keys) == 0 {
		return
	}
	key := keys[m.IntN(len(keys))]
	if depth < 9 && m.IntN(5) > 0 {
		switch below := object[key].(type) {
		case map[string]any:
			m.damage(below, depth+1)
			return
		case []any:
			if len(below) > 0 {
				at := m.IntN(len(below))
				if inner, ok := below[at].(map[string]any); ok && m.IntN(4) > 0 {
					m.damage(inner, depth+1)
					return
				}
				below[at] = m.odd()
				return
			}
		}
	}
	if m.IntN(6) == 0 {
		delete(object, key)
		return
	}
	object[key] = m.odd()
}

// odd returns something that is out of place in most places.
func (m mutator) odd() any {
	odds := []any{
		nil, true, 5, 1.5, "", "text", "${x}", []any{}, map[string]any{}, []any{nil}, []any{"a", 5}, []any{[]any{"a"}},
		map[string]any{"name": "n1"}, map[string]any{"name": nil}, map[string]any{"namespace": "x"}, map[string]any{"": "x"},
		[]any{map[string]any{"name": "n2", "kind": "ServiceAccount"}}, "List", "default", 1e21, math.Copysign(0, -1), map[string]any{"items": []any{}},
		map[string]any{"config.kubernetes.io/local-config": "true"}, map[string]any{"a": "b", "c": 5},
	}
	return odds[m.IntN(len(odds))]
}

const podSpec = `
      serviceAccountName: n1
      priorityClassName: n2
      imagePullSecrets: [{name: n3}]
      volumes:
      - {name: a, configMap: {name: n1}}
      - {name: b, secret: {secretName: n2}}
      - {name: c, persistentVolumeClaim: {claimName: n3}}
      - {name: d, projected: {sources: [{configMap: {name: n4}}, {secret: {name: n5}}]}}
      - {name: e, emptyDir: {}}
      initContainers: [{name: a, image: b, env: [{name: x, valueFrom: {secretKeyRef: {name: n1, key: k}}}]}]
      containers:
      - name: a
        image: b:1
        env: [{name: x, value: "1"}, {name: y, valueFrom: {configMapKeyRef: {name: n2, key: k}}}]
        envFrom: [{configMapRef: {name: n3}}, {secretRef: {name: n4}}]
`

// kinds are objects without metadata, one at least of every kind that kustomize treats in its own way.
var kinds = []string{
	"apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n",
	"apiVersion: v1\nkind: Secret\nstringData: {a: b}\n",
	"apiVersion: v1\nkind: ServiceAccount\nimagePullSecrets: [{name: n1}]\n",
	"apiVersion: v1\nkind: Service\nspec: {selector: {a: b}, ports: [{port: 80}]}\n",
	"apiVersion: v1\nkind: Namespace\n",
	"apiVersion: v1\nkind: Node\nspec: {configSource: {configMap: {name: n1, namespace: one}}}\n",
	"apiVersion: v1\nkind: PersistentVolume\nspec: {storageClassName: n1, azureFile: {secretName: n2}}\n",
	"apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {volumeName: n1, storageClassName: n2}\n",
	"apiVersion: v1\nkind: Pod\nspec:" + podSpec,
	"apiVersion: v1\nkind: PodTemplate\ntemplate:\n  spec:" + podSpec,
	"apiVersion: v1\nkind: ReplicationController\nspec:\n  template:\n    spec:" + podSpec,
	"apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 1\n  template:\n    spec:" + podSpec,
	"apiVersion: apps/v1\nkind: ReplicaSet\nspec:\n  template:\n    spec:" + podSpec,
	"apiVersion: apps/v1\nkind: DaemonSet\nspec:\n  template:\n    spec:" + podSpec,
	"apiVersion: apps/v1\nkind: StatefulSet\nspec:\n  serviceName: n1\n  volumeClaimTemplates: [{metadata: {name: a}, spec: {storageClassName: n1}}]\n" +
		"  template:\n    spec:" + podSpec,
	"apiVersion: batch/v1\nkind: Job\nspec:\n  template:\n    spec:" + podSpec,
	"apiVersion: batch/v1\nkind: CronJob\nspec:\n  jobTemplate:\n   spec:\n    template:\n     spec:" + podSpec,
	"apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {tasks: [{replicas: 1, template: {spec: {containers: []}}}]}\n",
	"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: n1}}\n",
	"apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: {ingressClassName: n1, tls: [{secretName: n2}], defaultBackend: {service: {name: n3}}, " +
		"rules: [{http: {paths: [{backend: {service: {name: n4, port: {number: 80}}}}]}}]}\n",
	"apiVersion: networking.k8s.io/v1\nkind: IngressClass\nspec: {controller: a/b}\n",
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelector: {}}\n",
	"apiVersion: storage.k8s.io/v1\nkind: StorageClass\nparameters: {secretName: n1, adminSecretName: n2}\n",
	"apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nvalue: 5\n",
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules: [{resources: [secrets], resourceNames: [n1, n2]}]\n",
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nrules: [{resources: [secrets], resourceNames: [n1]}]\n",
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: n1}\n" +
		"subjects: [{kind: ServiceAccount, name: n2, namespace: one}, {kind: User, name: n3}]\n",
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: n1}\n" +
		"subjects: [{kind: ServiceAccount, name: default, namespace: two}]\n",
	"apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nwebhooks: [{clientConfig: {service: {name: n1, namespace: one}}}]\n",
	"apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nwebhooks: [{clientConfig: {service: {name: n1, namespace: one}}}]\n",
	"apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nspec: {policyName: n1}\n",
	"apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nspec: {service: {name: n1, namespace: one}}\n",
	"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {group: a.b, conversion: {webhook: {clientConfig: {service: {name: n1, namespace: one}}}}}\n",
	"apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: {minAvailable: 1}\n",
	"apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {spec: {containers: [{env: [{valueFrom: {secretKeyRef: {name: n1}}}]}]}}}\n",
	"apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec: {predictor: {model: {storageUri: s3://x, resources: {limits: {nvidia.com/gpu: 1}}}}}\n",
	"apiVersion: kueue.x-k8s.io/v1beta1\nkind: ClusterQueue\nspec: {cohort: a}\n",
	"apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nspec: {controllerName: a/b}\n",
	"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {path: a}\n",
	"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n",
	"apiVersion: example.com/v1\nkind: ThingList\nitems: []\n",
	"apiVersion: example.com/v1\nkind: RoleBinding\nsubjects: [{kind: ServiceAccount, name: default}]\n",
	"kind: NoVersion\nspec: {}\n",
}

// TestKustomizeIsTheOneComparedWith fails when kustomize changes its version: then FuzzPlain has to run for some minutes,
// and the kinds whose references it follows have to be looked through, before the version here is changed.
func TestKustomizeIsTheOneComparedWith(t *testing.T) {
	t.Parallel()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("the test binary does not say what it was built from")
	}
	want := map[string]string{"sigs.k8s.io/kustomize/api": "v0.21.2", "sigs.k8s.io/kustomize/kyaml": "v0.21.2"}
	for _, module := range info.Deps {
		if version, ok := want[module.Path]; ok && module.Version == version {
			delete(want, module.Path)
		}
	}
	if len(want) > 0 {
		t.Errorf("the plain way was not compared with this kustomize, but with %v", want)
	}
}
