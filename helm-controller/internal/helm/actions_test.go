// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// refused is a ConfigMap that the API server does not take.
func refused(annotations string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_Allowed\n" + annotations
}

func TestAFailureIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.run(r.job(state.Install, r.chart(app("1.0.0").With("templates/bad.yaml", refused(""))), nil))
	if got.Err == nil || !strings.Contains(got.Err.Error(), "Not_Allowed") {
		t.Errorf("the error is %v", got.Err)
	}
	if got.Release == nil || got.Release.Status != release.Failed || got.Canceled != "" {
		t.Errorf("the outcome is %v %+v", got.Err, got.Release)
	}
	got = r.run(r.job(state.Upgrade, r.chart(app("1.0.0").With("templates/bad.yaml", "{{ nothing }}")), nil))
	if got.Err == nil || got.Release != nil || len(r.history()) != 1 {
		t.Errorf("what does not render has left %+v and %v", got.Release, r.history())
	}
}

// TestAFailedRollbackIsNotPending: the SDK leaves it so when a hook fails.
func TestAFailedRollbackIsNotPending(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hook := refused("  annotations: {helm.sh/hook: pre-rollback}\n")
	r.done(r.job(state.Install, r.chart(app("1.0.0").With("templates/bad.yaml", hook)), nil))
	r.done(r.job(state.Upgrade, r.chart(app("2.0.0")), nil))
	back := r.job(state.Rollback, nil, nil)
	back.Step.To = 1
	got := r.run(back)
	if got.Err == nil || got.Release == nil || got.Release.Version != 3 || got.Release.Status != release.Failed {
		t.Fatalf("the outcome is %v %+v", got.Err, got.Release)
	}
	if !strings.Contains(got.Release.Description, "Not_Allowed") {
		t.Errorf("the description is %q", got.Release.Description)
	}
}

// TestNothingIsLeftOfFailedRevisions: an object that only a failed revision has
// goes with the next one, or with the release.
func TestNothingIsLeftOfFailedRevisions(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){
		"upgrade":   func(r *rig) { r.done(r.job(state.Upgrade, r.chart(app("3.0.0")), nil)) },
		"uninstall": func(r *rig) { r.done(r.job(state.Uninstall, nil, nil)) },
		"rollback": func(r *rig) {
			back := r.job(state.Rollback, nil, nil)
			back.Step.To = 1
			r.done(back)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.done(r.job(state.Install, r.chart(app("1.0.0").ConfigMap("old", "old")), nil))
			broken := app("2.0.0").ConfigMap("made", "made").ConfigMap("kept", "kept").With("templates/bad.yaml", refused(""))
			if got := r.run(r.job(state.Upgrade, r.chart(broken), nil)); got.Err == nil {
				t.Fatal("the upgrade has succeeded")
			}
			second := app("2.1.0").With("templates/bad.yaml", refused(""))
			if got := r.run(r.job(state.Upgrade, r.chart(second), nil)); got.Err == nil {
				t.Fatal("the second upgrade has succeeded")
			}
			end(r)
			want := "absent absent 1"
			switch name {
			case "uninstall":
				want = "absent absent absent"
			case "rollback":
				want = "absent old 1"
			}
			if got := r.value("app-made") + " " + r.value("app-old") + " " + r.value("app-settings"); got != want {
				t.Errorf("there is %q, want %q", got, want)
			}
		})
	}
}

func TestTheGateIsAskedBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
	r.object.Spec.TargetNamespace = ""
	job := r.job(state.Upgrade, r.chart(app("2.0.0").ConfigMap("more", "x").CRD("gate.example.com", "Gated").
		With("templates/cr.yaml", "apiVersion: gate.example.com/v1\nkind: Gated\nmetadata: {name: one}\n")), nil)
	no := errors.New("no")
	var counts []int
	job.Gate = func(_ context.Context, before, after []*unstructured.Unstructured) error {
		counts = []int{len(before), len(after)}
		for _, obj := range after {
			if obj.GetNamespace() != r.namespace {
				t.Errorf("%s is in namespace %q", obj.GetName(), obj.GetNamespace())
			}
		}
		return no
	}
	r.each(nil)
	got := r.run(job)
	if !errors.Is(got.Err, no) || got.Release != nil {
		t.Errorf("the outcome is %v %+v", got.Err, got.Release)
	}
	if diff := cmp.Diff([]int{1, 3}, counts); diff != "" {
		t.Error(diff)
	}
	for _, request := range r.requests() {
		if !strings.HasPrefix(request, "GET ") {
			t.Errorf("it was written: %s", request)
		}
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	group := r.namespace + ".example.com"
	chart := r.chart(app("1.0.0").CRD(group, "Widget").
		With("templates/cr.yaml", "apiVersion: "+group+"/v1\nkind: Widget\nmetadata: {name: one}\n"))
	skip := r.job(state.Install, chart, nil)
	skip.Object.Spec.Install = &helmv2.Install{CRDs: helmv2.Skip}
	if got := r.run(skip); got.Err == nil || !strings.Contains(got.Err.Error(), "Widget") {
		t.Fatalf("without the definition: %+v", got)
	}
	outcome := r.run(r.job(state.Install, chart, nil))
	r.must(outcome.Err)
	for _, ref := range []inventory.Ref{
		{Name: "widgets." + group, Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
		{Namespace: r.namespace, Name: "one", Group: group, Kind: "Widget"},
		{Namespace: r.namespace, Name: "app-settings", Kind: "ConfigMap"},
	} {
		if _, ok := outcome.Objects[ref]; !ok {
			t.Errorf("%s is not among the objects %v", ref, outcome.Objects)
		}
	}
	r.done(r.job(state.Uninstall, nil, nil))
}

func TestANamespaceIsCreated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.object.Spec.TargetNamespace = r.namespace + "-target"
	r.object.Spec.ReleaseName = "app"
	if got := r.run(r.job(state.Install, r.chart(app("1.0.0")), nil)); got.Err == nil {
		t.Fatal("there was no namespace to install to")
	}
	r.done(r.job(state.Uninstall, nil, nil))
	r.object.Spec.Install = &helmv2.Install{CreateNamespace: true}
	r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
	found, err := r.admin.CoreV1().Namespaces().Get(t.Context(), r.namespace+"-target", metav1.GetOptions{})
	r.must(err)
	if found.Labels["name"] != found.Name {
		t.Errorf("the labels are %v", found.Labels)
	}
}

func TestHistoryIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.object.Spec.Uninstall = &helmv2.Uninstall{KeepHistory: true}
	r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
	got := r.run(r.job(state.Uninstall, nil, nil))
	if got.Err != nil || got.Release.Status != release.Uninstalled {
		t.Fatalf("the outcome is %v %+v", got.Err, got.Release)
	}
	if got := r.run(r.job(state.Uninstall, nil, nil)); !errors.Is(got.Err, state.ErrUninstalled) {
		t.Errorf("uninstalled again: %v", got.Err)
	}
	if got := r.run(r.job(state.Install, r.chart(app("2.0.0")), nil)); got.Err == nil {
		t.Error("the name was taken")
	}
	again := r.job(state.Install, r.chart(app("2.0.0")), nil)
	again.Step.Replace = true
	if got := r.done(again); got.Version != 2 {
		t.Errorf("the release is %+v", got)
	}
	if got := r.run(r.job(state.Uninstall, nil, nil)); got.Err != nil {
		t.Error(got.Err)
	}
}

func TestUninstallOfNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := r.run(r.job(state.Uninstall, nil, nil)); !errors.Is(got.Err, state.ErrNotFound) {
		t.Errorf("the outcome is %v %+v", got.Err, got.Release)
	}
}

func TestTestsAreFiltered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.done(r.job(state.Install, r.chart(app("1.0.0").Hook("one", "test", 0, "x").Hook("two", "test", 0, "x")), nil))
	r.object.Spec.Test = &helmv2.Test{Enable: true, Filters: &[]helmv2.Filter{{Name: "app-two", Exclude: true}}}
	got := r.done(r.job(state.Test, nil, nil)).Tests()
	if got["app-one"].LastRun.Phase != release.HookSucceeded || !got["app-two"].LastRun.Started.IsZero() {
		t.Errorf("the tests are %+v %+v", got["app-one"], got["app-two"])
	}
}

func TestWhoMerges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.object.Spec.Install = &helmv2.Install{ServerSideApply: new(bool)}
	if got := r.done(r.job(state.Install, r.chart(app("1.0.0")), nil)); got.ApplyMethod != release.ClientSide {
		t.Errorf("installed by %q", got.ApplyMethod)
	}
	if got := r.done(r.job(state.Upgrade, r.chart(app("2.0.0")), nil)); got.ApplyMethod != release.ClientSide {
		t.Errorf("upgraded by %q", got.ApplyMethod)
	}
	r.object.Spec.Upgrade = &helmv2.Upgrade{ServerSideApply: helmv2.ServerSideApplyEnabled}
	if got := r.done(r.job(state.Upgrade, r.chart(app("3.0.0")), nil)); got.ApplyMethod != release.ServerSide {
		t.Errorf("upgraded by %q", got.ApplyMethod)
	}
	back := r.job(state.Rollback, nil, nil)
	back.Step.To = 2
	if got := r.done(back); got.ApplyMethod != release.ClientSide {
		t.Errorf("rolled back by %q", got.ApplyMethod)
	}
}

// never is a chart with a Deployment that never gets ready: nobody runs it.
func never(version string) testkit.HelmChart {
	return app(version).With("templates/deployment.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: slow}
spec:
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec: {containers: [{name: main, image: nowhere.example.com/none}]}
`)
}

// TestKindsThatAreGone: a release with an object of a kind that the cluster does
// not have any more can be upgraded and uninstalled.
func TestKindsThatAreGone(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){
		"upgrade":   func(r *rig) { r.done(r.job(state.Upgrade, r.chart(app("2.0.0")), nil)) },
		"uninstall": func(r *rig) { r.done(r.job(state.Uninstall, nil, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			group := name + ".gone.example.com"
			chart := app("1.0.0").CRD(group, "Widget").
				With("templates/cr.yaml", "apiVersion: "+group+"/v1\nkind: Widget\nmetadata: {name: one}\n")
			r.done(r.job(state.Install, r.chart(chart), nil))
			definitions := r.dynamic.Resource(schema.GroupVersionResource{
				Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
			})
			r.must(definitions.Delete(t.Context(), "widgets."+group, metav1.DeleteOptions{}))
			r.settled("the definition to be gone", func() bool {
				_, err := definitions.Get(t.Context(), "widgets."+group, metav1.GetOptions{})
				return apierrors.IsNotFound(err)
			})
			r.restart()
			end(r)
		})
	}
}

// TestACrowd runs many releases of one chart at once.
func TestACrowd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	chart := r.chart(app("1.0.0").ConfigMap("name", "{{ .Release.Name }} {{ uuidv4 }}"))
	const crowd = 30
	for i := range crowd {
		r.object.Name = fmt.Sprintf("app-%d", i)
		job := r.job(state.Install, chart, map[string]any{"size": float64(i)})
		job.UID = types.UID(r.object.Name)
		if !r.runner.Start(job) {
			t.Fatalf("%s did not start", r.object.Name)
		}
	}
	for range crowd {
		if outcome := r.await(); outcome.Err != nil {
			t.Error(outcome.Err)
		}
	}
	seen := map[string]bool{}
	for i := range crowd {
		name := fmt.Sprintf("app-%d", i)
		text := r.value(name + "-name")
		if !strings.HasPrefix(text, name+" ") || seen[text] || r.value(name+"-settings") != fmt.Sprint(i) {
			t.Errorf("%s has %q and %q", name, text, r.value(name+"-settings"))
		}
		seen[text] = true
	}
}

// TestRequests counts what an action sends where a watch tells of records.
func TestRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reader, err := metadata.NewForConfig(cluster.Config())
	r.must(err)
	r.store = storage.New(t.Context(), storage.Options{Metadata: reader, Log: logr.Discard()})
	chart := app("1.0.0").ConfigMap("two", "x").ConfigMap("three", "x").ConfigMap("four", "x")
	r.done(r.job(state.Install, r.chart(chart), nil)) // its requests fill the caches
	r.settled("the watch of records", func() bool { return r.store.Watched(r.namespace) })

	r.object.Name = "other"
	for _, c := range []struct {
		action state.Action
		want   int
	}{
		{state.Install, 6}, // two for the record, one for each object
		{state.Upgrade, 7}, // one more for the record before
	} {
		r.each(nil)
		r.done(r.job(c.action, r.chart(chart), nil))
		var sent []string
		for _, request := range r.requests() {
			if !strings.Contains(request, "/apis") && !strings.HasSuffix(request, "/api") && !strings.HasSuffix(request, "/version") {
				sent = append(sent, request) // once a second and cluster
			}
		}
		if len(sent) != c.want {
			t.Errorf("%s: %d requests, want %d:\n%s", c.action, len(sent), c.want, strings.Join(sent, "\n"))
		}
	}
}
