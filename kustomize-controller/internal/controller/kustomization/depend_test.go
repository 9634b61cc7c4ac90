// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"fmt"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// needs has a Kustomization depend on objects of any kind.
func needs(path string, objects ...kustomizev1.ObjectDependency) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Path = path
		k.Spec.Weir = &kustomizev1.WeirSpec{DependsOn: objects}
	}
}

func object(apiVersion, kind, name, expr string) kustomizev1.ObjectDependency {
	return kustomizev1.ObjectDependency{APIVersion: apiVersion, Kind: kind, Name: name, ReadyExpr: expr}
}

// after has a Kustomization depend on others.
func after(path string, others ...meta.DependencyReference) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Path, k.Spec.DependsOn = path, others
	}
}

// apply creates an object from YAML, in which $NS stands for the namespace.
func (s *suite) apply(text string) {
	s.Helper()
	data, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(text, "$NS", s.ns)))
	s.must(err)
	obj := newObject("v1/Object")
	s.must(obj.UnmarshalJSON(data))
	s.must(kube.Create(s.Context(), obj))
}

// awaitMessage waits until a Kustomization is not ready for a reason, with
// texts in its message.
func (s *suite) awaitMessage(name, reason string, texts ...string) *kustomizev1.Kustomization {
	s.Helper()
	return s.await(name, fmt.Sprintf("says %s and %q", reason, texts), func(k *kustomizev1.Kustomization) bool {
		for _, text := range texts {
			if !strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), strings.ReplaceAll(text, "$NS", s.ns)) {
				return false
			}
		}
		return conditions.IsFalse(k, fluxmeta.ReadyCondition) && conditions.GetReason(k, fluxmeta.ReadyCondition) == reason
	})
}

// What waits is looked at every ten minutes in these tests, and each may take
// one: what wakes it is an event.
func TestDependenciesWake(t *testing.T) {
	controller.stop(t)
	controller = startShared("--requeue-dependency=10m")
	t.Cleanup(func() {
		controller.stop(t)
		controller = startShared()
	})
	for name, test := range map[string]func(*suite){
		"Job":               testDependsOnJob,
		"Deployment":        testDependsOnDeployment,
		"labels":            testDependsOnLabels,
		"missing":           testDependsOnMissing,
		"versions in step":  testVersionsInStep,
		"mixed cycle":       testMixedCycle,
		"deleted member":    testCycleLosesMember,
		"Kustomization":     testDependsOnKustomizationAsObject,
		"removed Job":       testDependsOnRemovedJob,
		"spec names others": testDependencyIsReplaced,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newSuite(t))
		})
	}
}

func testDependsOnJob(s *suite) {
	first := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.apply(job("suspend: true"))
	s.create("app", needs("", object("batch/v1", "Job", "train", "")))
	s.awaitMessage("app", "DependencyNotReady", "dependency Job/$NS/train is not ready: it is suspended")
	if s.live("v1/ConfigMap", "a") != nil {
		s.Fatal("applied before the Job was done")
	}
	s.patch("test", "batch/v1/Job", "train", "spec: {suspend: false}")
	s.awaitReady("app", first)

	// What holds by now does not depend on the Job any more.
	obj := newObject("batch/v1/Job")
	obj.SetNamespace(s.ns)
	obj.SetName("train")
	s.must(kube.Delete(s.Context(), obj))
	s.eventually("the Job is gone", func() bool { return s.live("batch/v1/Job", "train") == nil })
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	s.eventually("drift is still corrected", func() bool { return field(s.live("v1/ConfigMap", "a"), "data", "key") == "one" })
	if obj := s.get("app"); !conditions.IsReady(obj) {
		s.Errorf("conditions %+v, want Ready", obj.Status.Conditions)
	}
	// The next revision does.
	s.push(map[string]string{"a.yaml": configMap("a", "two")})
	s.awaitMessage("app", "DependencyNotReady", "dependency Job/$NS/train not found, and no Kustomization has recorded that it ran to completion; create it")
	s.apply(job(""))
	s.eventually("the new revision is applied", func() bool { return field(s.live("v1/ConfigMap", "a"), "data", "key") == "two" })
}

func testDependsOnDeployment(s *suite) {
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.apply(strings.Replace(server, `nvidia.com/gpu: "1"`, `nvidia.com/gpu: "99"`, 1))
	s.create("app", needs("", object("apps/v1", "Deployment", "server", "")))
	s.awaitMessage("app", "DependencyNotReady", "dependency Deployment/$NS/server is not ready: ")
	s.patch("test", "apps/v1/Deployment", "server", "spec: {replicas: 0}")
	s.awaitReady("app", revision)
}

func testDependsOnLabels(s *suite) {
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gate, namespace: $NS}\ndata: {open: hidden}")
	s.create("app", needs("", object("v1", "ConfigMap", "gate", "!has(dep.data) && dep.metadata.labels['open'] == self.metadata.name")))
	s.awaitMessage("app", "DependencyNotReady", "dependency ConfigMap/$NS/gate is not ready: spec.weir.dependsOn[0].readyExpr: 1:38: no such key: labels")
	s.patch("test", "v1/ConfigMap", "gate", "metadata: {labels: {open: 'no'}}")
	s.awaitMessage("app", "DependencyNotReady", "dependency ConfigMap/$NS/gate is not ready according to readyExpr eval")
	s.patch("test", "v1/ConfigMap", "gate", "metadata: {labels: {open: app}}")
	s.awaitReady("app", revision)
}

func testDependsOnMissing(s *suite) {
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", needs("", object("v1", "ConfigMap", "gate", ""), object("v1", "ServiceAccount", "there", "")))
	s.awaitMessage("app", "DependencyNotReady", "dependency ConfigMap/$NS/gate not found; create it, or remove it from spec.weir.dependsOn",
		"dependency ServiceAccount/$NS/there not found")
	s.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: there, namespace: $NS}")
	s.await("app", "waits for the other only", func(k *kustomizev1.Kustomization) bool {
		return !strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "ServiceAccount")
	})
	s.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gate, namespace: $NS}")
	s.awaitReady("app", revision)
}

// Two Kustomizations go from version to version together: the second follows
// when the first has the version, which no new generation tells.
func testVersionsInStep(s *suite) {
	revision := s.push(map[string]string{"a/x.yaml": configMap("a", "one"), "b/x.yaml": configMap("b", "one")})
	version := func(v string) func(*kustomizev1.Kustomization) {
		return func(k *kustomizev1.Kustomization) { k.Labels = map[string]string{"version": v} }
	}
	s.create("a", after("./a"), version("1"))
	s.awaitReady("a", revision)
	s.create("b", after("./b", meta.DependencyReference{Name: "a", ReadyExpr: `dep.metadata.labels['version'] == self.metadata.labels['version'] &&
  dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')`}), version("2"))
	s.awaitMessage("b", "DependencyNotReady", "dependency '$NS/a' is not ready according to readyExpr eval")
	s.edit("a", version("2"))
	s.awaitReady("b", revision)

	// The expression takes the place of the built-in rule: a is not ready.
	s.edit("b", func(k *kustomizev1.Kustomization) { k.Spec.DependsOn[0].ReadyExpr = "dep.spec.path == './none'" })
	s.awaitMessage("b", "DependencyNotReady", "according to readyExpr eval")
	s.edit("a", func(k *kustomizev1.Kustomization) { k.Spec.Path = "./none" })
	s.awaitFailure("a", "ArtifactFailed")
	s.awaitReady("b", revision)
}

func testMixedCycle(s *suite) {
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("a", after("", meta.DependencyReference{Name: "b"}))
	s.create("b", needs("", object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "c", "")))
	s.create("c", after("", meta.DependencyReference{Name: "a"}))
	for name, way := range map[string]string{
		"a": "$NS/a -> $NS/b -> $NS/c -> $NS/a", "b": "$NS/b -> $NS/c -> $NS/a -> $NS/b", "c": "$NS/c -> $NS/a -> $NS/b -> $NS/c",
	} {
		obj := s.awaitMessage(name, kustomizev1.DependencyCycleReason, "dependency cycle: "+way+"; remove one of these")
		if !conditions.IsStalled(obj) {
			s.Errorf("%s is not stalled: %+v", name, obj.Status.Conditions)
		}
	}
	s.edit("c", func(k *kustomizev1.Kustomization) { k.Spec.DependsOn = nil })
	for _, name := range []string{"c", "b", "a"} {
		s.awaitReady(name, revision)
	}
}

func testCycleLosesMember(s *suite) {
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("a", after("", meta.DependencyReference{Name: "b"}))
	s.create("b", after("", meta.DependencyReference{Name: "a"}))
	s.awaitMessage("a", kustomizev1.DependencyCycleReason)
	s.awaitMessage("b", kustomizev1.DependencyCycleReason)
	s.delete("b")
	s.awaitMessage("a", "DependencyNotReady", "dependency '$NS/b' not found: there is no such Kustomization; create it, or remove it from spec.dependsOn")
	s.create("b", after(""))
	s.awaitReady("a", revision)
}

func testDependsOnKustomizationAsObject(s *suite) {
	first := s.push(map[string]string{"a/x.yaml": configMap("a", "one"), "b/x.yaml": configMap("b", "one")})
	s.create("b", needs("./b", object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "a", "")))
	s.awaitMessage("b", "DependencyNotReady", "dependency Kustomization/$NS/a not found")
	s.create("a", after("./a"))
	s.awaitReady("b", first)
	// Both have the same source, so b waits for a to have the revision, too.
	second := s.push(map[string]string{"a/x.yaml": "a: [b", "b/x.yaml": configMap("b", "two")})
	s.awaitMessage("b", "DependencyNotReady", "dependency Kustomization/$NS/a is not ready: ")
	third := s.push(map[string]string{"a/x.yaml": configMap("a", "three"), "b/x.yaml": configMap("b", "three")})
	if second == third {
		s.Fatal("one revision")
	}
	s.awaitReady("b", third)
}

// A Job that has succeeded stays a dependency that is ready when its time to
// live is over, as long as the Kustomization that applied it remembers.
func testDependsOnRemovedJob(s *suite) {
	revision := s.push(map[string]string{"train/job.yaml": job("ttlSecondsAfterFinished: 1"), "app/a.yaml": configMap("a", "one")})
	s.create("train", waiting, func(k *kustomizev1.Kustomization) { k.Spec.Path = "./train" })
	s.awaitReady("train", revision)
	s.eventually("its time to live is over", func() bool { return s.live("batch/v1/Job", "train") == nil })
	s.create("app", needs("./app", object("batch/v1", "Job", "train", "")))
	s.awaitReady("app", revision)
	s.create("expr", needs("./app", object("batch/v1", "Job", "train", "dep.status.succeeded == 1")))
	s.awaitMessage("expr", "DependencyNotReady", "dependency Job/$NS/train not found: it succeeded and was removed, and its readyExpr has nothing to look at")
}

func testDependencyIsReplaced(s *suite) {
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", needs("", object("v1", "ConfigMap", "one", "")))
	s.awaitMessage("app", "DependencyNotReady", "ConfigMap/$NS/one not found")
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Weir.DependsOn[0].Name = "two" })
	s.awaitMessage("app", "DependencyNotReady", "ConfigMap/$NS/two not found")
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Weir.DependsOn[0].ReadyExpr = "dep.metadata.name" })
	obj := s.awaitMessage("app", "InvalidCELExpression", "spec.weir.dependsOn[0].readyExpr: the expression yields dyn, want bool; compare it with something")
	if !conditions.IsStalled(obj) || obj.Status.ObservedGeneration != obj.Generation {
		s.Errorf("status %+v, want Stalled and the generation observed", obj.Status)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Weir = nil })
	s.awaitReady("app", revision)
}

// Whoever may not read an object learns nothing of it: neither whether it
// exists, nor what it is like.
func TestDependencyIsReadAsTheTenant(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	for _, account := range []string{"tenant", "reader"} {
		s.must(kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: account}}))
	}
	s.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: there, namespace: $NS, labels: {open: 'yes'}}\nstringData: {key: hidden}")
	messages := map[string]string{}
	for _, name := range []string{"there", "absent"} {
		s.create(name, needs("", object("v1", "Secret", name, "dep.metadata.labels['open'] == 'yes'")), func(k *kustomizev1.Kustomization) {
			k.Spec.ServiceAccountName = "tenant"
		})
		obj := s.awaitMessage(name, "DependencyNotReady", "dependency Secret/$NS/"+name+" cannot be read: ", "system:serviceaccount:$NS:tenant",
			"give that right to the service account")
		messages[name] = strings.ReplaceAll(conditions.GetMessage(obj, fluxmeta.ReadyCondition), name, "NAME")
	}
	if messages["there"] != messages["absent"] {
		t.Errorf("the messages tell what exists:\n%s\n%s", messages["there"], messages["absent"])
	}

	// With the right to read, an expression still sees the metadata only.
	s.create("data", needs("", object("v1", "Secret", "there", "dep.data.key == 'aGlkZGVu'")), func(k *kustomizev1.Kustomization) {
		k.Spec.ServiceAccountName = "reader"
	})
	s.allow("reader")
	s.awaitMessage("data", "DependencyNotReady", "dependency Secret/$NS/there is not ready: spec.weir.dependsOn[0].readyExpr: 1:9: no such key: data")
	s.must(kube.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.ns, Name: "tenant"}},
	}))
	s.awaitReady("there", revision)
}

func TestDependencyOfUnknownKind(t *testing.T) {
	s := newSuite(t)
	s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", needs("", object("example.com/v1", "Widget", "w", "")))
	s.awaitMessage("app", "DependencyNotReady", "dependency Widget/$NS/w not found: the cluster has no kind Widget in example.com/v1; install its CustomResourceDefinition")
}

func TestInvalidExpressionStalls(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", after("", meta.DependencyReference{Name: "b", ReadyExpr: "dep.status.conditions.exists(e, e.type ="}))
	obj := s.awaitMessage("app", "InvalidCELExpression", "spec.dependsOn[0].readyExpr: 1:")
	if !conditions.IsStalled(obj) {
		t.Errorf("conditions %+v, want Stalled", obj.Status.Conditions)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.DependsOn = nil })
	s.awaitReady("app", revision)
}
