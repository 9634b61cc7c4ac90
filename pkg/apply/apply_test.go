// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/inventory"
)

const app = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: $NS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: $NS}
data: {greeting: hello}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: $NS}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: $NS}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example/web:1
        ports: [{containerPort: 8080}]
        env: [{name: MODE, value: fast}]`

func TestApplyCreatesThenCostsNothing(t *testing.T) {
	r := newRig(t)
	want := map[string]Action{"ServiceAccount/web": Created, "ConfigMap/web": Created, "Service/web": Created, "Deployment/web": Created}
	if diff := cmp.Diff(want, r.mustApply(app)); diff != "" {
		t.Errorf("first apply (-want +got):\n%s", diff)
	}
	r.sent()
	for name, action := range r.mustApply(app) {
		if action != Unchanged {
			t.Errorf("second apply: %s %s, want unchanged", name, action)
		}
	}
	if sent := r.sent(); len(sent) > 0 {
		t.Errorf("an unchanged apply sent %v", sent)
	}
}

func TestRestartDryRunsOnceAndWritesNothing(t *testing.T) {
	r := newRig(t)
	r.mustApply(app)
	before := r.live(configMapGVR, "web").GetResourceVersion()
	r.start()
	r.sent()
	for name, action := range r.mustApply(app) {
		if action != Unchanged {
			t.Errorf("%s %s, want unchanged", name, action)
		}
	}
	sent := r.sent()
	if len(sent) != 4 {
		t.Errorf("sent %d requests, want one dry-run for each of 4 objects: %v", len(sent), sent)
	}
	for _, request := range sent {
		if !strings.HasSuffix(request, " dry-run") {
			t.Errorf("sent %q, want dry-runs only", request)
		}
	}
	if after := r.live(configMapGVR, "web").GetResourceVersion(); after != before {
		t.Errorf("the ConfigMap was written: version %s, then %s", before, after)
	}
}

func TestApplyWritesWhatChanged(t *testing.T) {
	r := newRig(t)
	r.mustApply(app)
	r.sent()
	got := r.mustApply(strings.Replace(app, "web:1", "web:2", 1))
	want := map[string]Action{"ServiceAccount/web": Unchanged, "ConfigMap/web": Unchanged, "Service/web": Unchanged, "Deployment/web": Configured}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("apply (-want +got):\n%s", diff)
	}
	if sent := r.sent(); len(sent) != 2 {
		t.Errorf("sent %v, want one dry-run and one apply", sent)
	}
}

func TestRefusedSetWritesNothing(t *testing.T) {
	r := newRig(t)
	bad := strings.Replace(app, "containerPort: 8080", "containerPort: 99999", 1)
	announced := false
	_, err := r.apply(bad, func(o *Options) {
		o.BeforeWrite = func(context.Context) error { announced = true; return nil }
	})
	if err == nil || !strings.Contains(err.Error(), "Deployment/"+r.owner.Namespace+"/web dry-run failed (Invalid)") || !strings.Contains(err.Error(), "containerPort") {
		t.Errorf("error = %v, want one that names the Deployment and the field", err)
	}
	if announced {
		t.Error("BeforeWrite was called for a set that is refused")
	}
	if r.live(configMapGVR, "web") != nil {
		t.Error("the ConfigMap was written although the Deployment is refused")
	}
}

func TestEveryRefusalIsReported(t *testing.T) {
	r := newRig(t)
	var docs []string
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		docs = append(docs, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: UPPER"+name+", namespace: $NS}")
	}
	_, err := r.apply(strings.Join(docs, "\n---\n"))
	if err == nil || strings.Count(err.Error(), "dry-run failed") != 5 || !strings.HasSuffix(err.Error(), "and 2 more") {
		t.Errorf("error = %v, want five refusals and two more", err)
	}
}

func TestBeforeWriteStopsTheApply(t *testing.T) {
	r := newRig(t)
	refused := errors.New("no")
	_, err := r.apply(app, func(o *Options) { o.BeforeWrite = func(context.Context) error { return refused } })
	if !errors.Is(err, refused) {
		t.Errorf("error = %v, want that of BeforeWrite", err)
	}
	if r.live(configMapGVR, "web") != nil {
		t.Error("something was written")
	}
}

func TestDefinitionsAndWhatNeedsThemInOneSet(t *testing.T) {
	r := newRig(t)
	group := r.owner.Namespace + ".weir.dev"
	t.Cleanup(func() {
		_, _, _ = r.engine.Prune(context.WithoutCancel(t.Context()), inventory.Inventory{
			{Name: "models." + group, Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: "v1",
		}, PruneOptions{Client: r.client, Owner: r.owner})
	})
	got := r.mustApply(strings.ReplaceAll(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: models.$GROUP}
spec:
  group: $GROUP
  scope: Namespaced
  names: {kind: Model, plural: models, singular: model, listKind: ModelList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: $NS-new}
---
apiVersion: $GROUP/v1
kind: Model
metadata: {name: llama, namespace: $NS-new}
spec: {size: 8}`, "$GROUP", group))
	want := map[string]Action{"CustomResourceDefinition/models." + group: Created, "Namespace/" + r.owner.Namespace + "-new": Created, "Model/llama": Created}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("apply (-want +got):\n%s", diff)
	}
}

func TestUnknownKindIsNamed(t *testing.T) {
	r := newRig(t)
	_, err := r.apply("apiVersion: nowhere.weir.dev/v1\nkind: Thing\nmetadata: {name: x, namespace: $NS}")
	if err == nil || !strings.Contains(err.Error(), "Thing/") || !strings.Contains(err.Error(), "CustomResourceDefinition") {
		t.Errorf("error = %v, want one that names the kind and the way out", err)
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	r := newRig(t)
	_, err := r.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: $NS}\ntype: kubernetes.io/tls\nstringData: {password: hunter2}")
	if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVudGVyMg") {
		t.Errorf("error = %v, want one without the secret", err)
	}
}

func TestForceRecreatesOnlyWhatIsImmutable(t *testing.T) {
	const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: train, image: "registry.example/train:1"}]`
	r := newRig(t)
	r.mustApply(job)
	uid := r.live(jobGVR, "train").GetUID()
	next := strings.Replace(job, "train:1", "train:2", 1)

	_, err := r.apply(next)
	if err == nil || !strings.Contains(err.Error(), "immutable") || !strings.Contains(err.Error(), "force annotation") {
		t.Errorf("without force: error = %v, want that the field is immutable, and the way out", err)
	}
	broken := strings.Replace(next, "restartPolicy: Never", "restartPolicy: Sometimes", 1)
	if _, err := r.apply(broken, func(o *Options) { o.Force = true }); err == nil || r.live(jobGVR, "train").GetUID() != uid {
		t.Errorf("with force, an object that cannot be created: error = %v, and the old one must stay", err)
	}
	if got := r.mustApply(next, func(o *Options) { o.Force = true })["Job/train"]; got != Recreated {
		t.Errorf("with force: %s, want recreated", got)
	}
	if r.live(jobGVR, "train").GetUID() == uid {
		t.Error("the Job is still the old one")
	}
}

func TestTakesOverFromKubectl(t *testing.T) {
	r := newRig(t)
	r.kubectl("kubectl-client-side-apply", configMapGVR, "", `
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  namespace: $NS
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
data: {greeting: hi, extra: by hand}`)
	if got := r.mustApply(app)["ConfigMap/web"]; got != Configured {
		t.Errorf("ConfigMap %s, want configured", got)
	}
	live := r.live(configMapGVR, "web")
	if diff := cmp.Diff(map[string]any{"greeting": "hello"}, live.Object["data"]); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if len(live.GetAnnotations()) > 0 {
		t.Errorf("annotations %v, want none left", live.GetAnnotations())
	}
}

func TestPolicies(t *testing.T) {
	const tmpl = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: $NS, annotations: {KEY: VALUE}}\ndata: {a: ours}"
	for name, tc := range map[string]struct {
		key, value string
		exists     bool
		want       Action
		data       map[string]any
	}{
		"merge keeps others' fields":   {testKeys.Policy, "Merge", true, Configured, map[string]any{"a": "ours", "b": "theirs"}},
		"override takes them over":     {testKeys.Policy, "Override", true, Configured, map[string]any{"a": "ours"}},
		"if not present, present":      {testKeys.Policy, "IfNotPresent", true, Skipped, map[string]any{"a": "theirs", "b": "theirs"}},
		"if not present, absent":       {testKeys.Policy, "IfNotPresent", false, Created, map[string]any{"a": "ours"}},
		"ignore":                       {testKeys.Policy, "Ignore", true, Skipped, map[string]any{"a": "theirs", "b": "theirs"}},
		"reconcile disabled, any case": {testKeys.Reconcile, "Disabled", true, Skipped, map[string]any{"a": "theirs", "b": "theirs"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if tc.exists {
				r.kubectl("kubectl-create", configMapGVR, "", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: $NS}\ndata: {a: theirs, b: theirs}")
			}
			got := r.mustApply(strings.NewReplacer("KEY", tc.key, "VALUE", tc.value).Replace(tmpl))
			if got["ConfigMap/x"] != tc.want {
				t.Errorf("%s, want %s", got["ConfigMap/x"], tc.want)
			}
			if diff := cmp.Diff(tc.data, r.live(configMapGVR, "x").Object["data"]); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPruneDeletesOnlyWhatIsOurs(t *testing.T) {
	r := newRig(t)
	r.mustApply(app + `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, namespace: $NS, annotations: {test.weir.dev/prune: disabled}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: given-away, namespace: $NS}`)
	r.kubectl("somebody", configMapGVR, "given-away", `{"metadata": {"labels": {"test.weir.dev/name": "another"}}}`)
	ref := func(name string) inventory.Ref {
		return inventory.Ref{Namespace: r.owner.Namespace, Name: name, Kind: "ConfigMap"}
	}
	stale := inventory.Inventory{ref("web"): "v1", ref("kept"): "v1", ref("given-away"): "v1", ref("never-was"): "v1"}
	deleted, left, err := r.engine.Prune(t.Context(), stale, PruneOptions{Client: r.client, Owner: r.owner})
	r.must(err)
	if diff := cmp.Diff([]inventory.Ref{ref("web")}, deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	if len(left) > 0 {
		t.Errorf("left in the inventory: %v", left)
	}
	if r.live(configMapGVR, "kept") == nil || r.live(configMapGVR, "given-away") == nil || r.live(configMapGVR, "web") != nil {
		t.Error("the wrong objects are gone")
	}
}
