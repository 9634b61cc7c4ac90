// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// setMode changes spec.weir.mode.
func setMode(mode meta.Mode) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		if k.Spec.Weir == nil {
			k.Spec.Weir = &kustomizev1.WeirSpec{}
		}
		k.Spec.Weir.Mode = mode
	}
}

var planMode = setMode(meta.ModePlan)

// awaitPlan waits until a Kustomization shows the plan of a revision.
func (s *suite) awaitPlan(name, revision string) *kustomizev1.Kustomization {
	s.Helper()
	return s.await(name, "shows the plan for "+revision, func(k *kustomizev1.Kustomization) bool {
		return conditions.IsReady(k) && k.Status.ObservedGeneration == k.Generation &&
			conditions.GetReason(k, fluxmeta.ReadyCondition) == kustomizev1.PlannedReason &&
			k.Status.Weir != nil && k.Status.Weir.Plan != nil && k.Status.Weir.Plan.Revision == revision
	})
}

// changes returns the changes of a plan as text.
func changes(k *kustomizev1.Kustomization) []string {
	var lines []string
	for _, c := range k.Status.Weir.Plan.Changes {
		lines = append(lines, strings.TrimSpace(c.Action+" "+c.ID+" "+strings.Join(c.Paths, " ")))
	}
	return lines
}

// versions returns the resourceVersions of what is in the namespace.
func (s *suite) versions() map[string]string {
	s.Helper()
	found := map[string]string{}
	for _, kind := range []string{"v1/ConfigMap", "v1/Secret", "apps/v1/Deployment", "batch/v1/Job", "v1/Service"} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(newObject(kind).GroupVersionKind())
		s.must(kube.List(s.Context(), list, client.InNamespace(s.ns)))
		for _, obj := range list.Items {
			found[kind+"/"+obj.GetName()] = obj.GetResourceVersion()
		}
	}
	return found
}

const (
	planDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: $NS}
spec:
  replicas: 0
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
        - {name: side, image: example.com/side}
        - name: server
          image: example.com/server
          resources: {limits: {nvidia.com/gpu: "1"}}
`
	planJob = `apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS, annotations: {kustomize.toolkit.fluxcd.io/force: enabled}}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, containers: [{name: train, image: "example.com/train:1"}]}}
`
	planSecret = "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: $NS}\nstringData: {key: %s}\n"
)

// Plan mode says what applying would do and does nothing of it; Apply mode then
// does just that.
func TestPlanTouchesNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	const oldValue, newValue = "old-secret-value", "new-secret-value"
	kept := strings.Replace(configMap("kept", "x"), "namespace: $NS", "namespace: $NS, annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}", 1)
	files := map[string]string{
		"server.yaml": planDeployment, "job.yaml": planJob, "same.yaml": configMap("same", "x"), "gone.yaml": configMap("gone", "x"),
		"kept.yaml": kept, "secret.yaml": fmt.Sprintf(planSecret, oldValue),
	}
	first := s.push(files)
	s.create("app")
	s.awaitReady("app", first)
	s.edit("app", planMode)
	obj := s.awaitPlan("app", first)
	if diff := cmp.Diff(&meta.Plan{Revision: first, Unchanged: 6}, obj.Status.Weir.Plan); diff != "" {
		t.Errorf("plan of what is applied (-want +got):\n%s", diff)
	}

	before, applied := s.versions(), obj
	delete(files, "gone.yaml")
	delete(files, "kept.yaml")
	files["server.yaml"] = strings.NewReplacer(`gpu: "1"`, `gpu: "2"`, "side}", "side:2}").Replace(planDeployment)
	files["job.yaml"] = strings.ReplaceAll(planJob, "train:1", "train:2")
	files["secret.yaml"] = fmt.Sprintf(planSecret, newValue)
	files["new.yaml"] = configMap("new", "x") + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: $NS-new}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: inside, namespace: $NS-new}\n"
	second := s.push(files)
	obj = s.awaitPlan("app", second)
	want := strings.Split(strings.ReplaceAll(`deleted NS_gone__ConfigMap
recreated NS_train_batch_Job spec.template.spec
configured NS_server_apps_Deployment spec.template.spec.containers[name=server].resources.limits["nvidia.com/gpu"] spec.template.spec.containers[name=side].image
configured NS_token__Secret data.key
created _NS-new__Namespace
created NS-new_inside__ConfigMap
created NS_new__ConfigMap`, "NS", s.ns), "\n")
	if diff := cmp.Diff(want, changes(obj)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got, want := conditions.GetMessage(obj, fluxmeta.ReadyCondition), "Plan for revision "+second+": 3 to create, 3 to change, 1 to delete, 1 unchanged; nothing was applied"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if obj.Status.LastAppliedRevision != first || !cmp.Equal(obj.Status.Inventory, applied.Status.Inventory) {
		t.Errorf("applied revision %s, inventory %v", obj.Status.LastAppliedRevision, obj.Status.Inventory)
	}
	if diff := cmp.Diff(before, s.versions()); diff != "" {
		t.Errorf("resource versions (-before +after):\n%s", diff)
	}
	s.never(obj, oldValue, newValue)

	s.replanOnRequest("app", second)
	s.edit("app", setMode(meta.ModeApply))
	obj = s.awaitReady("app", second)
	if obj.Status.Weir != nil && obj.Status.Weir.Plan != nil {
		t.Errorf("the plan is still there: %+v", obj.Status.Weir)
	}
	if s.live("v1/ConfigMap", "gone") != nil || s.live("v1/ConfigMap", "kept") == nil || field(s.live("v1/ConfigMap", "same"), "data", "key") != "x" {
		t.Error("want gone pruned, kept kept, and same put back")
	}
}

// never searches a Kustomization and its events for values, also in base64.
func (s *suite) never(obj *kustomizev1.Kustomization, values ...string) {
	s.Helper()
	data, err := json.Marshal(obj)
	s.must(err)
	text := string(data) + strings.Join(s.events(obj.Name), "\n")
	for _, value := range values {
		for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value))} {
			if strings.Contains(text, form) {
				s.Errorf("%q is in the object or its events", form)
			}
		}
	}
}

// replanOnRequest changes an object by hand: in Plan mode that is shown on
// request, and not put back. A plan that does not change is told of once.
func (s *suite) replanOnRequest(name, revision string) {
	s.Helper()
	s.patch("kubectl-edit", "v1/ConfigMap", "same", "data: {key: by hand}")
	ask := func(value string) {
		s.edit(name, func(k *kustomizev1.Kustomization) {
			k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: value}
		})
		s.await(name, "has handled the request", func(k *kustomizev1.Kustomization) bool { return k.Status.LastHandledReconcileAt == value })
	}
	ask("one")
	ask("two")
	obj := s.awaitPlan(name, revision)
	if line := "configured " + s.ns + "_same__ConfigMap data.key"; !slices.Contains(changes(obj), line) {
		s.Errorf("changes %q, want %q among them", changes(obj), line)
	}
	if got := field(s.live("v1/ConfigMap", "same"), "data", "key"); got != "by hand" {
		s.Errorf("key = %q, want what was set by hand", got)
	}
	message := conditions.GetMessage(obj, fluxmeta.ReadyCondition)
	s.eventually("an event tells of the plan", func() bool { return slicesContains(s.events(name), message) })
	if n := count(s.eventTimes(name), message); n != 1 {
		s.Errorf("%d events tell of the same plan", n)
	}
}

// eventTimes returns the message of each event as often as it was emitted.
func (s *suite) eventTimes(name string) []string {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	var messages []string
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == "Kustomization" && e.InvolvedObject.Name == name {
			times := max(1, int(e.Count))
			if e.Series != nil {
				times = int(e.Series.Count)
			}
			messages = append(messages, slices.Repeat([]string{e.Message}, times)...)
		}
	}
	return messages
}

func count(texts []string, want string) int {
	return len(slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return text != want }))
}

// What the API server refuses leaves no plan, not even half of one.
func TestPlanRefused(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	good := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", planMode)
	s.awaitPlan("app", good)
	s.push(map[string]string{"a.yaml": configMap("a", "two"), "b.yaml": badService})
	if message := s.awaitFailure("app", "ReconciliationFailed"); !strings.Contains(message, "Service/"+s.ns+"/b dry-run failed (Invalid) (b.yaml:1)") {
		t.Errorf("message %q, want the refused object named", message)
	}
	if obj := s.get("app"); obj.Status.Weir != nil || obj.Status.Inventory != nil || obj.Status.LastAppliedRevision != "" {
		t.Errorf("status %+v, want no plan and nothing applied", obj.Status)
	}
	obj := s.awaitPlan("app", s.push(map[string]string{"a.yaml": configMap("a", "three")}))
	if diff := cmp.Diff([]string{"created " + s.ns + "_a__ConfigMap"}, changes(obj)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if s.live("v1/ConfigMap", "a") != nil {
		t.Error("a was created")
	}
}

// A plan leaves the objects alone at the end as well, and does not count as
// deleted what would not be.
func TestPlanLeavesWhatIsApplied(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push(map[string]string{"a.yaml": configMap("a", "one"), "b.yaml": configMap("b", "one")})
	s.create("app")
	s.awaitReady("app", first)
	s.edit("app", planMode)
	s.awaitPlan("app", first)
	second := s.push(map[string]string{"b.yaml": configMap("b", "one")})
	if obj := s.awaitPlan("app", second); obj.Status.Weir.Plan.Deleted != 1 {
		t.Errorf("plan %+v, want one deleted", obj.Status.Weir.Plan)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Prune = false })
	if obj := s.awaitPlan("app", second); obj.Status.Weir.Plan.Deleted != 0 || len(obj.Status.Inventory.Entries) != 2 {
		t.Errorf("plan %+v, want none deleted and both in the inventory", obj.Status.Weir.Plan)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Prune = true })
	s.delete("app")
	for _, name := range []string{"a", "b"} {
		if s.live("v1/ConfigMap", name) == nil {
			t.Errorf("%s went with a Kustomization that only plans", name)
		}
	}
}

// A plan of many changes is cut off where a status has to be, and is the same
// after a restart, without another event.
func TestPlanIsBoundedAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	restart := s.shard("plan")
	many := func(value string) map[string]string {
		var all strings.Builder
		for i := range 500 {
			all.WriteString("---\n" + configMap(fmt.Sprintf("a-name-of-some-length-%03d", i), value))
		}
		return map[string]string{"all.yaml": all.String()}
	}
	first := s.push(many("one"))
	s.create("app", onShard("plan"))
	s.awaitReady("app", first)
	s.edit("app", planMode)
	s.awaitPlan("app", first)
	second := s.push(many("two"))
	obj := s.awaitPlan("app", second)
	plan := obj.Status.Weir.Plan
	data, err := json.Marshal(plan.Changes)
	s.must(err)
	if plan.Changed != 500 || len(plan.Changes) > 100 || int64(len(plan.Changes))+plan.Omitted != 500 || len(data) > 16<<10 {
		t.Fatalf("%d changed, %d listed in %d bytes, %d omitted", plan.Changed, len(plan.Changes), len(data), plan.Omitted)
	}
	if len(plan.Changes) < 80 || !slices.Equal(plan.Changes[0].Paths, []string{"data.key"}) {
		t.Errorf("%d listed, the first with %q", len(plan.Changes), plan.Changes[0].Paths)
	}
	restart()
	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "restarted"}
	})
	again := s.await("app", "is planned after the restart", func(k *kustomizev1.Kustomization) bool { return k.Status.LastHandledReconcileAt == "restarted" })
	if diff := cmp.Diff(obj.Status.Weir, again.Status.Weir); diff != "" {
		t.Errorf("plan after the restart (-before +after):\n%s", diff)
	}
	if n := count(s.eventTimes("app"), conditions.GetMessage(obj, fluxmeta.ReadyCondition)); n != 1 {
		t.Errorf("%d events tell of the same plan", n)
	}
}

// What is only planned is not there for those who need it, and enough for those
// who only plan themselves.
func TestPlannedIsNotApplied(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.push(map[string]string{"a/x.yaml": configMap("a", "one"), "b/x.yaml": configMap("b", "one"), "c/x.yaml": configMap("c", "one")})
	on := func(path string, names ...string) func(*kustomizev1.Kustomization) {
		return func(k *kustomizev1.Kustomization) {
			k.Spec.Path = path
			for _, name := range names {
				k.Spec.DependsOn = append(k.Spec.DependsOn, meta.DependencyReference{Name: name})
			}
		}
	}
	s.create("a", on("a"), planMode)
	s.create("b", on("b", "a"))
	s.create("c", on("c", "a"), planMode)
	s.awaitPlan("a", revision)
	s.awaitPlan("c", revision)
	s.await("b", "is told that a is only planned", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "dependency '"+s.ns+"/a' is not ready: it is only planned")
	})
	s.edit("a", setMode(meta.ModeApply))
	s.awaitReady("a", revision)
	s.awaitReady("b", revision)
}

// TestPruneGuardValidation tries what the CRD has to refuse.
func TestPruneGuardValidation(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push(map[string]string{"a.yaml": configMap("a", "one")})
	for value, good := range map[string]bool{
		`0`: true, `7`: true, `"0%"`: true, `"20%"`: true, `"100%"`: true,
		`-1`: false, `1.5`: false, `"20"`: false, `"101%"`: false, `"-1%"`: false, `"020%"`: false, `"20 %"`: false, `"many"`: false, `""`: false, `true`: false, `{}`: false,
	} {
		obj := newObject("kustomize.toolkit.fluxcd.io/v1/Kustomization")
		obj.SetNamespace(s.ns)
		obj.SetName("validated")
		var spec map[string]any
		s.must(json.Unmarshal([]byte(`{"interval":"1h","prune":true,"sourceRef":{"kind":"GitRepository","name":"repo"},"suspend":true,"weir":{"pruneGuard":{"max":`+value+`}}}`), &spec))
		obj.Object["spec"] = spec
		err := kube.Create(t.Context(), obj, client.DryRunAll)
		if good && err != nil || !good && !apierrors.IsInvalid(err) {
			t.Errorf("max: %s yields %v", value, err)
		}
	}
}

// onShard has a Kustomization reconciled by the controller that the test has
// started itself.
func onShard(key string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		metav1.SetMetaDataLabel(&k.ObjectMeta, shardLabel, key)
	}
}

// shard starts a controller for the test alone. The function that it returns
// ends it and starts another one.
func (s *suite) shard(key string, flags ...string) (restart func()) {
	s.Helper()
	start := func() *process {
		return startController(append(flags, "--watch-label-selector="+shardLabel+"="+key)...)
	}
	shard := start()
	s.Cleanup(func() { shard.stop(s.T) })
	return func() {
		shard.stop(s.T)
		shard = start()
	}
}
