// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/hack/platform"
)

// TestExampleIsAccepted dry-runs every object of every environment, as it is
// in the repository and with its variables filled in, and as the account that
// its Kustomization names: the roles of the example are tested with it.
func TestExampleIsAccepted(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			admin := installed(t, "")
			for _, l := range layers(t, environment) {
				t.Run(l.Name, func(t *testing.T) {
					t.Parallel()
					account := "system:serviceaccount:" + l.Namespace + ":" + l.Spec.ServiceAccountName
					installed(t, account).checkAccepted(t, l.objects)
				})
				admin.checkAccepted(t, build(t, filepath.Join(exampleDir, l.Spec.Path)))
			}
		})
	}
}

// TestTeamsStayApart checks that a team cannot apply another team's objects,
// nor the platform's.
func TestTeamsStayApart(t *testing.T) {
	t.Parallel()
	training := installed(t, "system:serviceaccount:llm-platform:training")
	for _, l := range layers(t, "dev") {
		if l.Spec.ServiceAccountName == "training" {
			continue
		}
		for _, object := range l.objects {
			// Policies add up, so a team that may write its own can open what it likes in its namespace.
			if object.GetKind() == "NetworkPolicy" && object.GetNamespace() == "team-training" {
				continue
			}
			err := training.apply(t.Context(), object, true)
			if err == nil || !strings.Contains(err.Error(), "forbidden") {
				t.Errorf("%s applied by the training team: %v, want forbidden", identify(object), err)
			}
		}
	}
}

// TestPodsAreRestricted creates, in a dry-run, a pod of every pod template in a
// namespace that enforces the restricted profile.
func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	s := installed(t, "")
	namespace := restrictedNamespace(t)
	var objects []*unstructured.Unstructured
	for _, environment := range environments() {
		for _, l := range layers(t, environment) {
			objects = append(objects, l.objects...)
		}
	}
	objects = append(objects, build(t, bootstrapDir)...)

	tried := 0
	for _, object := range objects {
		pod := podOf(t, object, namespace)
		if pod == nil {
			continue
		}
		tried++
		if err := s.create(t.Context(), pod); err != nil {
			t.Errorf("a pod of %s is not admitted: %v", identify(object), err)
		}
		if containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers"); len(containers) != 1 {
			t.Errorf("%s has %d containers, want 1", identify(object), len(containers))
		}
	}
	// Five in each environment, and the controllers.
	if want := 5*len(environments()) + len(platform.Programs()); tried != want {
		t.Errorf("%d pod templates were tried, want %d", tried, want)
	}
}

// restrictedNamespace makes a namespace that admits only restricted pods, and
// checks that it does.
func restrictedNamespace(t *testing.T) string {
	t.Helper()
	const name = "restricted"
	s := installed(t, "")
	namespace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}},
	}}
	account := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "default", "namespace": name},
	}}
	if err := s.applyAll(t.Context(), []*unstructured.Unstructured{namespace, account}); err != nil {
		t.Fatal(err)
	}
	root := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "root", "namespace": name},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "root", "image": "root"}}},
	}}
	if err := s.create(t.Context(), root); err == nil || !strings.Contains(err.Error(), "PodSecurity") {
		t.Fatalf("an unrestricted pod: %v, want a refusal by PodSecurity", err)
	}
	return name
}

// podOf makes a pod of the template in object, nil if it has none.
func podOf(t *testing.T, object *unstructured.Unstructured, namespace string) *unstructured.Unstructured {
	t.Helper()
	where := map[string][]string{
		"DaemonSet":   {"spec", "template", "spec"},
		"Deployment":  {"spec", "template", "spec"},
		"StatefulSet": {"spec", "template", "spec"},
		"Job":         {"spec", "template", "spec"},
		"CronJob":     {"spec", "jobTemplate", "spec", "template", "spec"},
	}[object.GetKind()]
	if where == nil {
		return nil
	}
	spec, ok, err := unstructured.NestedMap(object.Object, where...)
	if err != nil || !ok {
		t.Fatalf("%s has no pod template: %v", identify(object), err)
	}
	// The account of the template is in another namespace and says nothing about the profile.
	spec["serviceAccountName"] = "default"
	addClaims(object, spec)
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": strings.ToLower(object.GetName()), "namespace": namespace},
		"spec":     spec,
	}}
}

// addClaims gives a pod the volumes that a StatefulSet claims for each of its
// pods.
func addClaims(object *unstructured.Unstructured, spec map[string]any) {
	claims, _, _ := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
	volumes, _, _ := unstructured.NestedSlice(spec, "volumes")
	for _, claim := range claims {
		template, _ := claim.(map[string]any)
		name, _, _ := unstructured.NestedString(template, "metadata", "name")
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name}})
	}
	if len(claims) > 0 {
		spec["volumes"] = volumes
	}
}

// TestExampleOrder checks what the example's README draws: who waits for whom,
// and that each waits for health.
func TestExampleOrder(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"weir": "", "platform": "weir", "feature-store": "platform", "pipelines": "feature-store",
		"training": "feature-store", "model-server": "training", "chat": "model-server",
	}
	for _, environment := range environments() {
		all := layers(t, environment)
		if len(all) != len(want) {
			t.Errorf("%s has %d Kustomizations, want %d", environment, len(all), len(want))
		}
		for _, l := range all {
			var after []string
			for _, dependency := range l.Spec.DependsOn {
				after = append(after, dependency.Name)
			}
			if got := strings.Join(after, " "); got != want[l.Name] {
				t.Errorf("%s: Kustomization %s depends on %q, want %q", environment, l.Name, got, want[l.Name])
			}
			if l.Name != "weir" && !l.Spec.Wait {
				t.Errorf("%s: Kustomization %s does not wait for health, so those after it do not either", environment, l.Name)
			}
			if !l.Spec.Prune || l.Spec.ServiceAccountName == "" || l.Spec.Timeout == nil {
				t.Errorf("%s: Kustomization %s lacks prune, timeout or serviceAccountName", environment, l.Name)
			}
		}
	}
}

// TestOneOwnerPerObject checks that no two Kustomizations of an environment
// apply the same object: they would undo each other's work.
func TestOneOwnerPerObject(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		owner := map[string]string{}
		for _, l := range layers(t, environment) {
			for _, object := range l.objects {
				id := identify(object)
				if other, taken := owner[id]; taken {
					t.Errorf("%s: %s is applied by %s and by %s", environment, id, other, l.Name)
				}
				owner[id] = l.Name
			}
		}
	}
}

// TestJobsCanBeReplaced checks that every Job carries the force annotation, and
// that its name and its place stay the same when its template changes.
func TestJobsCanBeReplaced(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		var jobs []string
		for _, l := range layers(t, environment) {
			for _, object := range l.objects {
				if object.GetKind() != "Job" {
					continue
				}
				jobs = append(jobs, identify(object))
				if object.GetAnnotations()["kustomize.toolkit.fluxcd.io/force"] != "enabled" {
					t.Errorf("%s: %s has no force annotation", environment, identify(object))
				}
			}
		}
		if !slices.Equal(jobs, []string{"Job team-training/finetune"}) {
			t.Errorf("%s: Jobs are %v", environment, jobs)
		}
	}
}

// TestModelVersionIsShared checks that the training publishes the version that
// the server serves, and that another version changes the templates of both.
func TestModelVersionIsShared(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		releases := map[string]string{}
		for _, l := range layers(t, environment) {
			for _, object := range l.objects {
				if strings.HasPrefix(object.GetName(), "release-") {
					version, _, _ := unstructured.NestedString(object.Object, "data", "MODEL_VERSION")
					releases[l.Name] = object.GetName() + " " + version
				}
			}
		}
		if len(releases) != 2 || releases["training"] == "" || releases["training"] != releases["model-server"] {
			t.Errorf("%s: releases by Kustomization are %v, want one, with a hash, in training and model-server", environment, releases)
		}
	}
}

// TestBudgetsHold checks that what an environment runs at once fits the GPU
// budgets that its platform gives to the teams, and to all of them together.
func TestBudgetsHold(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		budgets, used := map[string]int64{}, map[string]int64{}
		for _, l := range layers(t, environment) {
			for _, object := range l.objects {
				if object.GetKind() == "GPUQuota" {
					budgets[object.GetName()] = hard(t, object)
				}
				if object.GetKind() == "Namespace" && strings.HasPrefix(object.GetName(), "team-") {
					if team := object.GetLabels()["quota.weir.dev/team"]; "team-"+team != object.GetName() {
						t.Errorf("%s: the namespace %s draws on the budget of %q", environment, object.GetName(), team)
					}
				}
				used[object.GetNamespace()] += gpus(t, object)
				used["llm-platform"] += gpus(t, object)
			}
		}
		for _, team := range []string{"team-training", "team-serving", "llm-platform"} {
			if used[team] == 0 || used[team] > budgets[team] {
				t.Errorf("%s: %s uses %d GPUs of %d", environment, team, used[team], budgets[team])
			}
		}
		if budgets["team-data"] != 0 || used["team-data"] != 0 {
			t.Errorf("%s: team-data uses %d GPUs of %d, want none of none", environment, used["team-data"], budgets["team-data"])
		}
	}
}

// hard is the one limit of a GPUQuota.
func hard(t *testing.T, quota *unstructured.Unstructured) int64 {
	t.Helper()
	limits, _, err := unstructured.NestedSlice(quota.Object, "spec", "limits")
	if err != nil || len(limits) != 1 {
		t.Fatalf("%s has the limits %v, want one: %v", identify(quota), limits, err)
	}
	limit, _ := limits[0].(map[string]any)
	return quantity(t, limit, "hard")
}

// gpus that a Deployment or a Job of the example asks for.
func gpus(t *testing.T, object *unstructured.Unstructured) int64 {
	t.Helper()
	count := map[string]string{"Deployment": "replicas", "Job": "parallelism"}[object.GetKind()]
	if count == "" {
		return 0
	}
	containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	container, _ := containers[0].(map[string]any)
	each := quantity(t, container, "resources", "requests", "nvidia.com/gpu")
	if limit := quantity(t, container, "resources", "limits", "nvidia.com/gpu"); limit != each {
		t.Errorf("%s requests %d GPUs and is limited to %d", identify(object), each, limit)
	}
	return each * quantity(t, object.Object, "spec", count)
}

// quantity reads a whole number, written as a number or as text; 0 if absent.
func quantity(t *testing.T, object map[string]any, fields ...string) int64 {
	t.Helper()
	value, ok, err := unstructured.NestedFieldNoCopy(object, fields...)
	if err != nil || !ok {
		return 0
	}
	number, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(fields, "."), err)
	}
	return number
}
