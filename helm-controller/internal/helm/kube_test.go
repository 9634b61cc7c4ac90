// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	sdkstorage "helm.sh/helm/v3/pkg/storage"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
)

const idleDeployment = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "i:1"}]}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
`

func TestSDKWithServerSideApply(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	cfg := r.with()
	sent := r.counted(func() { r.must(r.install(cfg, idleDeployment+configMap("a", "key: one")+configMap("goes", ""))) })
	if diff := cmp.Diff(map[string]int{"PATCH": 4}, sent); diff != "" {
		t.Errorf("requests of an install (-want +got):\n%s\n%q", diff, r.requests())
	}
	live := r.live(configMaps, "a")
	if diff := cmp.Diff([]string{"helm-controller Apply"}, managers(live)); diff != "" {
		t.Errorf("managers (-want +got):\n%s", diff)
	}
	if got := live.GetAnnotations()[nameAnnotation]; got != "app" || live.GetLabels()[managedByLabel] != "Helm" {
		t.Errorf("annotations %v, labels %v", live.GetAnnotations(), live.GetLabels())
	}

	r.edit("kubectl-edit", "a", `{"data":{"key":"by hand","theirs":"stays"}}`)
	sent = r.counted(func() { r.must(r.upgrade(r.with(), idleDeployment+configMap("a", "key: two")+configMap("new", ""))) })
	if diff := cmp.Diff(map[string]int{"PATCH": 4, "GET": 1, "DELETE": 1}, sent); diff != "" {
		t.Errorf("requests of an upgrade (-want +got):\n%s\n%q", diff, r.requests())
	}
	if diff := cmp.Diff(map[string]string{"key": "two", "theirs": "stays"}, r.data("a")); diff != "" {
		t.Errorf("data after an upgrade (-want +got):\n%s", diff)
	}
	if r.live(configMaps, "goes") != nil || r.live(configMaps, "new") == nil {
		t.Error("the upgrade has not deleted what is gone, or not created what is new")
	}

	rollback := action.NewRollback(r.with())
	rollback.Version, rollback.Wait, rollback.WaitForJobs, rollback.Timeout = 1, true, true, deadline
	r.must(rollback.Run("app"))
	if r.data("a")["key"] != "one" || r.live(configMaps, "goes") == nil || r.live(configMaps, "new") != nil {
		t.Errorf("after a rollback: %v", r.data("a"))
	}

	uninstall := action.NewUninstall(r.with())
	uninstall.Wait, uninstall.Timeout = true, deadline
	sent = r.counted(func() { _, err := uninstall.Run("app"); r.must(err) })
	if sent["DELETE"] != 4 {
		t.Errorf("requests of an uninstall: %v", sent)
	}
	if r.live(configMaps, "a") != nil {
		t.Error("the uninstall has left a ConfigMap")
	}
}

func TestSDKTakesOverFromHelm(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	r.must(r.install(r.withHelm(), configMap("a", "key: one, given: up")))
	if got := managers(r.live(configMaps, "a")); slices.Contains(got, "helm-controller Apply") {
		t.Fatalf("managers of Helm's release: %q", got)
	}
	// The CLI is called helm; in a test the SDK names the manager after the test.
	live := r.live(configMaps, "a")
	fields := live.GetManagedFields()
	fields[0].Manager = "helm"
	live.SetManagedFields(fields)
	_, err := r.dynamic.Resource(configMaps).Namespace(r.namespace).Update(t.Context(), live, metav1.UpdateOptions{FieldManager: "helm"})
	r.must(err)

	r.must(r.upgrade(r.with(), configMap("a", "key: two")))
	if diff := cmp.Diff(map[string]string{"key": "two"}, r.data("a")); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"helm-controller Apply"}, managers(r.live(configMaps, "a"))); diff != "" {
		t.Errorf("managers (-want +got):\n%s", diff)
	}
	r.must(r.upgrade(r.withHelm(), configMap("a", "key: three"))) // and back
	if got := r.data("a")["key"]; got != "three" {
		t.Errorf("Helm has left %q", got)
	}
}

func clientSide(o *kube.Options) { o.ServerSide = false }

func TestSDKWithClientSideMerge(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	r.must(r.install(r.with(clientSide), idleDeployment+configMap("a", "key: one, given: up")))
	if diff := cmp.Diff([]string{"helm-controller Update"}, managers(r.live(configMaps, "a"))); diff != "" {
		t.Errorf("managers (-want +got):\n%s", diff)
	}
	r.edit("kubectl-edit", "a", `{"data":{"theirs":"stays"}}`)
	r.must(r.upgrade(r.with(clientSide), idleDeployment+configMap("a", "key: two")))
	if diff := cmp.Diff(map[string]string{"key": "two", "theirs": "stays"}, r.data("a")); diff != "" {
		t.Errorf("merged data (-want +got):\n%s", diff)
	}
	r.must(r.upgrade(r.with(clientSide), idleDeployment+configMap("a", "key: three"), func(u *action.Upgrade) { u.Force = true }))
	if diff := cmp.Diff(map[string]string{"key": "three"}, r.data("a")); diff != "" {
		t.Errorf("replaced data (-want +got):\n%s", diff)
	}
	err := r.upgrade(r.with(clientSide), strings.Replace(idleDeployment, "{app: web}}\n", "{app: other}}\n", 1)+configMap("a", "key: four"))
	r.wantText(err, "immutable", "spec.upgrade.force: true")
}

func TestSDKWithoutOwnership(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	theirs := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}}
	_, err := r.dynamic.Resource(configMaps).Namespace(r.namespace).Create(t.Context(), theirs, metav1.CreateOptions{})
	r.must(err)
	owned := func(o *kube.Options) { o.TakeOwnership = false }
	err = r.install(r.with(owned), configMap("a", "key: one"), func(i *action.Install) { i.TakeOwnership = false })
	r.wantText(err, `ConfigMap "a" in namespace "$NS" exists and cannot be imported into the current release`)
	r.must(r.install(r.with(), configMap("a", "key: one")))
	if got := r.data("a")["key"]; got != "one" {
		t.Errorf("it was not taken: %q", got)
	}
}

// Objects of kinds that the cluster no longer has, or has in a newer version only,
// hold up neither an upgrade nor an uninstall.
func TestSDKWithRemovedKinds(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	r.must(r.install(r.with(), configMap("a", "key: one")))
	rel, err := sdkstorage.Init(r.records).Last("app")
	r.must(err)
	rel.Manifest += `
---
{apiVersion: gone.example.com/v1, kind: Relic, metadata: {name: r}}
---
{apiVersion: autoscaling/v2beta2, kind: HorizontalPodAutoscaler, metadata: {name: h}}
`
	autoscaler := schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	h := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "h"},
		"spec": map[string]any{"maxReplicas": int64(2), "scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
	}}
	_, err = r.dynamic.Resource(autoscaler).Namespace(r.namespace).Create(t.Context(), h, metav1.CreateOptions{})
	r.must(err)
	r.must(sdkstorage.Init(r.records).Update(rel))
	r.must(r.upgrade(r.with(), configMap("a", "key: two")))
	if r.live(autoscaler, "h") != nil {
		t.Error("what the cluster has in another version was not deleted")
	}
	r.must(sdkstorage.Init(r.records).Update(rel))
	err = r.upgrade(r.with(), configMap("a", "key: two")+"---\n{apiVersion: gone.example.com/v1, kind: Relic, metadata: {name: r}}\n")
	r.wantText(err, "Relic/r", `no matches for kind "Relic"`, "install its CustomResourceDefinition first")
	last, err := sdkstorage.Init(r.records).Last("app")
	r.must(err)
	last.Manifest = rel.Manifest
	r.must(sdkstorage.Init(r.records).Update(last))
	uninstall := action.NewUninstall(r.with())
	uninstall.Wait, uninstall.Timeout = true, deadline
	_, err = uninstall.Run("app")
	r.must(err)
}

// What a failed upgrade has created goes, and what was there before does not, be
// it the release's or not.
func TestSDKCleansUpOnlyWhatItCreated(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	r.must(r.install(r.with(), configMap("a", "key: one")))
	theirs := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "taken"}}}
	_, err := r.dynamic.Resource(configMaps).Namespace(r.namespace).Create(t.Context(), theirs, metav1.CreateOptions{})
	r.must(err)
	bad := "---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: bad}, spec: {}}\n"
	err = r.upgrade(r.with(), configMap("a", "key: two")+configMap("new", "")+configMap("taken", "")+bad, func(u *action.Upgrade) { u.CleanupOnFail = true })
	r.wantText(err, "Deployment/$NS/bad apply failed", "spec.selector")
	for name, there := range map[string]bool{"a": true, "taken": true, "new": false} {
		if got := r.live(configMaps, name) != nil; got != there {
			t.Errorf("%s is there: %t", name, got)
		}
	}
}

func TestSDKWithLegacyWait(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]func(*kube.Options){"server-side": func(*kube.Options) {}, "client-side": clientSide} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newKubeRig(t)
			legacy := func(o *kube.Options) { o.Legacy = true }
			r.must(r.install(r.with(legacy, method), idleDeployment))
			stuck := strings.Replace(idleDeployment, "replicas: 0", "replicas: 1", 1)
			err := r.upgrade(r.with(legacy, method), stuck, func(u *action.Upgrade) { u.Timeout = 3 * time.Second })
			r.wantText(err, "timeout waiting for objects to be ready: [Deployment/$NS/web status: 'InProgress': Deployment is not ready: $NS/web. 0 out of 1 expected pods are ready")
		})
	}
}

// A chart may hold a definition and an object of its kind in its templates.
func TestSDKWithDefinitionAndItsObject(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	group := rand.String(8) + ".example.com"
	template := strings.ReplaceAll(`---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.$GROUP}
spec:
  group: $GROUP
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
{apiVersion: $GROUP/v1, kind: Widget, metadata: {name: w}}
`, "$GROUP", group)
	r.must(r.install(r.with(), template))
	if r.live(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"}, "w") == nil {
		t.Error("there is no Widget")
	}
}

func TestSDKReadsObjects(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	cfg := r.with()
	r.must(r.install(cfg, idleDeployment))
	status := action.NewStatus(cfg)
	status.ShowResources = true
	rel, err := status.Run("app")
	r.must(err)
	if len(rel.Info.Resources["v1/Deployment"]) != 1 || len(rel.Info.Resources["v1/ServiceAccount"]) != 1 {
		t.Errorf("resources: %v", rel.Info.Resources)
	}
	status.ShowResourcesTable = true
	rel, err = status.Run("app")
	r.must(err)
	tables := rel.Info.Resources["v1/Deployment"]
	if len(tables) != 1 || tables[0].GetObjectKind().GroupVersionKind().Kind != "Table" {
		t.Errorf("tables: %v", rel.Info.Resources)
	}
}

func TestSDKRequestsEndWithTheAction(t *testing.T) {
	t.Parallel()
	r := newKubeRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	client, err := kube.New(ctx, kube.Options{
		Client: r.mapper, Config: r.config, Engine: r.engine, Log: logr.Discard(), Owner: types.NamespacedName{Namespace: r.namespace, Name: "app"},
		Name: "app", Namespace: r.namespace,
	})
	r.must(err)
	made, err := newKubeClient(client)
	r.must(err)
	cancel(errGone)
	r.wantText(r.install(r.configuration(made), configMap("a", "")), "canceled")
	list, err := made.Build(strings.NewReader(configMap("a", "")), false)
	r.must(err)
	for name, do := range map[string]func() error{
		"create": func() error { _, err := made.Create(list); return err },
		"read":   func() error { return list[0].Get() },
		"delete": func() error { _, errs := made.Delete(list); return errs[0] },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), errGone.Error()) {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
}
