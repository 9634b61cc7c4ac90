// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"" + name + "\", namespace: $NS}\ndata: {key: \"" + value + "\"}\n"
}

func TestAppliesPrunesAndReverts(t *testing.T) {
	s := newSuite(t)
	first := s.push(map[string]string{"a.yaml": configMap("a", "one"), "b.yaml": configMap("b", "one")})
	s.create("app")
	obj := s.awaitReady("app", first)
	if got, want := conditions.GetMessage(obj, fluxmeta.ReadyCondition), "Applied revision: "+first; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	want := []meta.ResourceRef{{ID: s.ns + "_a__ConfigMap", Version: "v1"}, {ID: s.ns + "_b__ConfigMap", Version: "v1"}}
	if diff := cmp.Diff(want, obj.Status.Inventory.Entries); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}

	second := s.push(map[string]string{"a.yaml": configMap("a", "two")})
	s.awaitReady("app", second)
	if field(s.live("v1/ConfigMap", "a"), "data", "key") != "two" || s.live("v1/ConfigMap", "b") != nil {
		t.Error("want a changed and b pruned")
	}

	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	s.eventually("the change by hand is put back", func() bool { return field(s.live("v1/ConfigMap", "a"), "data", "key") == "two" })
	s.eventually("an event tells who did it", func() bool {
		return slicesContains(s.events("app"), "ConfigMap/"+s.ns+"/a was changed; put back: .data.key set by kubectl-edit")
	})

	s.delete("app")
	if s.live("v1/ConfigMap", "a") != nil {
		t.Error("a is still there after its Kustomization was deleted")
	}
}

func TestBadRevisionWritesNothingAndDriftIsStillCorrected(t *testing.T) {
	s := newSuite(t)
	good := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app")
	s.awaitReady("app", good)
	bad := s.push(map[string]string{
		"a.yaml": configMap("a", "two"),
		"b.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: $NS}\nspec: {ports: [{port: 99999}]}\n",
	})
	message := s.awaitFailure("app", "ReconciliationFailed")
	if !strings.Contains(message, "Service/"+s.ns+"/b dry-run failed (Invalid)") {
		t.Errorf("message %q, want it to name the object and the cause", message)
	}
	obj := s.get("app")
	if obj.Status.LastAppliedRevision != good || obj.Status.LastAttemptedRevision != bad {
		t.Errorf("applied %s, attempted %s", obj.Status.LastAppliedRevision, obj.Status.LastAttemptedRevision)
	}
	if field(s.live("v1/ConfigMap", "a"), "data", "key") != "one" {
		t.Error("a was written although the revision is refused")
	}
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	s.eventually("the change by hand is put back to the last good revision", func() bool {
		return field(s.live("v1/ConfigMap", "a"), "data", "key") == "one"
	})
	s.awaitReady("app", s.push(map[string]string{"a.yaml": configMap("a", "three")}))
}

func TestBuildErrorsNameTheFile(t *testing.T) {
	for name, tc := range map[string]struct {
		files  map[string]string
		path   string
		reason string
		text   []string
	}{
		"broken YAML":      {map[string]string{"dir/x.yaml": "a: [b"}, "", "BuildFailed", []string{"dir/x.yaml"}},
		"no such path":     {map[string]string{"dir/kustomization.yaml": "resources: []"}, "./dri", "ArtifactFailed", []string{"dri"}},
		"path climbs out":  {map[string]string{"x.yaml": configMap("a", "one")}, "../..", "ArtifactFailed", []string{".."}},
		"missing resource": {map[string]string{"kustomization.yaml": "resources: [absent.yaml]"}, "", "BuildFailed", []string{"absent.yaml"}},
		"no namespace":     {map[string]string{"x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}"}, "", "ReconciliationFailed", []string{"ConfigMap/a", "namespace not specified"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.push(tc.files)
			s.create("app", func(k *kustomizev1.Kustomization) { k.Spec.Path = tc.path })
			message := s.awaitFailure("app", tc.reason)
			for _, text := range tc.text {
				if !strings.Contains(message, text) {
					t.Errorf("message %q, want %q in it", message, text)
				}
			}
			if strings.Contains(message, "/tmp") {
				t.Errorf("message %q shows a path of the machine", message)
			}
		})
	}
}

func TestDependencies(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a/x.yaml": configMap("a", "one"), "b/x.yaml": configMap("b", "one")})
	dependOn := func(path string, names ...string) func(*kustomizev1.Kustomization) {
		return func(k *kustomizev1.Kustomization) {
			k.Spec.Path = path
			for _, name := range names {
				k.Spec.DependsOn = append(k.Spec.DependsOn, meta.DependencyReference{Name: name})
			}
		}
	}
	s.create("b", dependOn("./b", "a"))
	if message := s.awaitFailure("b", "DependencyNotReady"); !strings.Contains(message, s.ns+"/a' not found") {
		t.Errorf("message %q, want the missing dependency named", message)
	}
	s.create("a", dependOn("./a"))
	s.awaitReady("a", revision)
	start := time.Now()
	s.awaitReady("b", revision)
	t.Logf("b was ready %s after a", time.Since(start).Round(time.Millisecond))

	s.create("c", dependOn("./a", "d"))
	s.create("d", dependOn("./a", "c"))
	for _, name := range []string{"c", "d"} {
		if message := s.awaitFailure(name, kustomizev1.DependencyCycleReason); !strings.Contains(message, "/c -> ") || !strings.Contains(message, "/d -> ") {
			t.Errorf("%s: message %q, want the cycle spelled out", name, message)
		}
	}
}

func TestSubstitution(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("${name}", "${value}")})
	s.must(kube.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "vars"}, Data: map[string]string{"value": "from-config", "name": "loses"},
	}))
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{
			Substitute:     map[string]string{"name": "wins"},
			SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "ConfigMap", Name: "vars"}, {Kind: "Secret", Name: "none", Optional: true}},
		}
	})
	s.awaitReady("app", revision)
	if got := field(s.live("v1/ConfigMap", "wins"), "data", "key"); got != "from-config" {
		t.Errorf("key = %q", got)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.PostBuild.SubstituteFrom[1].Optional = false })
	if message := s.awaitFailure("app", "BuildFailed"); !strings.Contains(message, "Secret 'none'") {
		t.Errorf("message %q, want the missing Secret named", message)
	}
}

func TestImpersonation(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.must(kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.ServiceAccountName = "tenant"
		k.Spec.RetryInterval = &metav1.Duration{Duration: time.Second}
	})
	message := s.awaitFailure("app", "ReconciliationFailed")
	if !strings.Contains(message, "Forbidden") || !strings.Contains(message, "system:serviceaccount:"+s.ns+":tenant") {
		t.Errorf("message %q, want that the tenant may not", message)
	}
	s.allow("tenant")
	s.awaitReady("app", revision)
}

func TestSuspendAndRequest(t *testing.T) {
	s := newSuite(t)
	first := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app")
	s.awaitReady("app", first)
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true })
	second := s.push(map[string]string{"a.yaml": configMap("a", "two")})
	s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: by hand}")
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Suspend = false })
	s.awaitReady("app", second)

	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	s.await("app", "has handled the request", func(k *kustomizev1.Kustomization) bool { return k.Status.LastHandledReconcileAt == "now" })
}

func TestDeletionPolicies(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*kustomizev1.Kustomization)
		stays  bool
	}{
		"mirrors prune":           {func(*kustomizev1.Kustomization) {}, false},
		"mirrors no prune":        {func(k *kustomizev1.Kustomization) { k.Spec.Prune = false }, true},
		"orphan":                  {func(k *kustomizev1.Kustomization) { k.Spec.DeletionPolicy = "Orphan" }, true},
		"delete without prune":    {func(k *kustomizev1.Kustomization) { k.Spec.Prune, k.Spec.DeletionPolicy = false, "Delete" }, false},
		"wait for termination":    {func(k *kustomizev1.Kustomization) { k.Spec.DeletionPolicy = "WaitForTermination" }, false},
		"suspended":               {func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }, true},
		"service account is gone": {func(k *kustomizev1.Kustomization) { k.Spec.ServiceAccountName = "gone" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
			s.create("app")
			s.awaitReady("app", revision)
			s.edit("app", tc.change)
			s.delete("app")
			if stays := s.live("v1/ConfigMap", "a") != nil; stays != tc.stays {
				t.Errorf("the object stays: %v, want %v", stays, tc.stays)
			}
		})
	}
}

// events returns the messages of the events of a Kustomization.
func (s *suite) events(name string) []string {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	var messages []string
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == "Kustomization" && e.InvolvedObject.Name == name {
			messages = append(messages, e.Message)
		}
	}
	return messages
}

func slicesContains(texts []string, want string) bool {
	for _, text := range texts {
		if strings.Contains(text, want) {
			return true
		}
	}
	return false
}
