// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/ssa/normalize"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// recorded is a directory with manifests, the objects that Flux had made of
// them, and the Kustomization that it left.
const recorded = "testdata/takeover/"

// recordedRevision stands in the recorded status.
const recordedRevision = "main@sha1:85c6647164c6aab80f4864eb9576bdfffe879d19"

// TestTakeoverFromFluxAndBack puts what Flux 2.9 left into the cluster, has
// Weir take over, and then applies as Flux would: nobody changes a managed
// object.
func TestTakeoverFromFluxAndBack(t *testing.T) {
	s := &suite{T: t, ns: "from-flux"}
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	s.must(kube.Create(t.Context(), &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "repo"}, Spec: sourcev1.GitRepositorySpec{URL: "https://git.example/repo"},
	}))
	manifests := s.read("manifests.yaml")
	text, err := os.ReadFile(recorded + "manifests.yaml")
	s.must(err)
	revision := s.push(map[string]string{"manifests.yaml": string(text)})
	objects := s.read("objects.yaml")
	if len(objects) != len(manifests) {
		t.Fatalf("%d objects of %d manifests", len(objects), len(manifests))
	}
	for _, obj := range objects {
		s.load(obj)
	}
	s.loadKustomization(revision)
	t.Cleanup(func() { s.delete("app") })
	s.compareClaims(objects)
	before := s.settled(objects)

	s.edit("app", func(k *kustomizev1.Kustomization) {
		k.Spec.Suspend = false
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "weir"}
	})
	obj := s.await("app", "is Weir's", func(k *kustomizev1.Kustomization) bool { return k.Status.LastHandledReconcileAt == "weir" })
	if !conditions.IsReady(obj) || obj.Status.LastAppliedRevision != revision {
		t.Errorf("status %+v, want Ready at %s", obj.Status, revision)
	}
	if diff := cmp.Diff(before, s.resourceVersions(objects)); diff != "" {
		t.Errorf("Weir has written objects that Flux had applied (-before +after):\n%s", diff)
	}
	s.leavesWhatFluxExpects(obj)

	for _, manifest := range manifests {
		s.applyAsFlux(manifest)
	}
	if diff := cmp.Diff(before, s.resourceVersions(objects)); diff != "" {
		t.Errorf("Flux would write objects that Weir has taken over (-before +after):\n%s", diff)
	}
}

// read decodes the documents of a recorded file.
func (s *suite) read(name string, replace ...string) []*unstructured.Unstructured {
	s.Helper()
	text, err := os.ReadFile(recorded + name)
	s.must(err)
	var objects []*unstructured.Unstructured
	for doc := range strings.SplitSeq(strings.NewReplacer(replace...).Replace(string(text)), "\n---\n") {
		obj := &unstructured.Unstructured{}
		s.must(yaml.Unmarshal([]byte(doc), &obj.Object))
		if len(obj.Object) > 0 {
			objects = append(objects, obj)
		}
	}
	return objects
}

// load creates an object and gives it the field managers that it had. What it
// needs may take a moment to be there.
func (s *suite) load(obj *unstructured.Unstructured) {
	s.Helper()
	bare := obj.DeepCopy()
	bare.SetManagedFields(nil)
	s.eventually(obj.GetKind()+" "+obj.GetName()+" can be created", func() bool {
		err := kube.Create(s.Context(), bare)
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return false
		}
		s.must(err)
		return true
	})
	patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/metadata/managedFields", "value": obj.GetManagedFields()}})
	s.must(err)
	s.must(kube.Patch(s.Context(), bare, client.RawPatch(types.JSONPatchType, patch)))
}

// loadKustomization creates the Kustomization that Flux left, suspended until
// its status is there.
func (s *suite) loadKustomization(revision string) {
	s.Helper()
	obj := s.read("kustomization.yaml", recordedRevision, revision)[0]
	status := obj.Object["status"]
	s.must(unstructured.SetNestedField(obj.Object, true, "spec", "suspend"))
	s.must(kube.Create(s.Context(), obj))
	obj.Object["status"] = status
	// Resuming makes it the second generation, which is the one that Flux is
	// taken to have seen.
	s.must(unstructured.SetNestedField(obj.Object, int64(2), "status", "observedGeneration"))
	s.must(kube.Status().Update(s.Context(), obj, client.FieldOwner(kustomizev1.StatusFieldManager)))
}

func (s *suite) liveOf(obj *unstructured.Unstructured) *unstructured.Unstructured {
	s.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(obj), live))
	return live
}

// compareClaims makes sure that the recorded field managers are in place:
// without them the test would prove nothing.
func (s *suite) compareClaims(objects []*unstructured.Unstructured) {
	s.Helper()
	for _, obj := range objects {
		want, got := claimsOf(obj), claimsOf(s.liveOf(obj))
		if len(want) == 0 {
			s.Errorf("%s: nothing recorded", inventory.RefOf(obj))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.Errorf("claims of %s (-recorded +live):\n%s", inventory.RefOf(obj), diff)
		}
	}
}

// claimsOf returns what the applier claims of an object, and since when.
func claimsOf(obj *unstructured.Unstructured) map[string]string {
	claims := map[string]string{}
	for _, entry := range obj.GetManagedFields() {
		if entry.Manager == kustomizev1.FieldManager {
			claims[string(entry.Operation)+" "+entry.Time.UTC().String()] = entry.FieldsV1.GetRawString()
		}
	}
	return claims
}

func (s *suite) resourceVersions(objects []*unstructured.Unstructured) map[string]string {
	s.Helper()
	versions := map[string]string{}
	for _, obj := range objects {
		versions[inventory.RefOf(obj).String()] = s.liveOf(obj).GetResourceVersion()
	}
	return versions
}

// settled waits until Kubernetes' own controllers have done with the objects.
func (s *suite) settled(objects []*unstructured.Unstructured) map[string]string {
	s.Helper()
	last, same := map[string]string{}, 0
	s.eventually("the objects have settled", func() bool {
		now := s.resourceVersions(objects)
		if same++; !maps.Equal(last, now) {
			last, same = now, 0
		}
		return same == 50
	})
	return last
}

// leavesWhatFluxExpects checks what Flux goes by when it takes the
// Kustomization back.
func (s *suite) leavesWhatFluxExpects(obj *kustomizev1.Kustomization) {
	s.Helper()
	was := &kustomizev1.Kustomization{}
	data, err := os.ReadFile(recorded + "kustomization.yaml")
	s.must(err)
	s.must(yaml.Unmarshal(data, was))
	entries := func(k *kustomizev1.Kustomization) []string {
		var out []string
		for _, entry := range k.Status.Inventory.Entries {
			out = append(out, entry.ID+" "+entry.Version)
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(entries(was), entries(obj)); diff != "" {
		s.Errorf("inventory (-Flux +Weir):\n%s", diff)
	}
	if diff := cmp.Diff(was.Finalizers, obj.Finalizers); diff != "" {
		s.Errorf("finalizers (-Flux +Weir):\n%s", diff)
	}
	for _, entry := range obj.ManagedFields {
		if entry.Subresource == "status" && entry.Manager != "gotk-kustomize-controller" {
			s.Errorf("the status is also %s's", entry.Manager)
		}
	}
	if len(obj.Status.History) == 0 || len(obj.Status.History) > 5 {
		s.Errorf("history has %d entries", len(obj.Status.History))
	}
}

// applyAsFlux sends what Flux would, with a client of its own.
func (s *suite) applyAsFlux(manifest *unstructured.Unstructured) {
	s.Helper()
	policy := manifest.GetLabels()[kustomizev1.SSAAnnotation]
	if strings.EqualFold(policy, kustomizev1.IfNotPresentValue) {
		return
	}
	s.must(normalize.Unstructured(manifest))
	labels := manifest.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[kustomizev1.OwnerNameLabel], labels[kustomizev1.OwnerNamespaceLabel] = "app", s.ns
	manifest.SetLabels(labels)
	s.must(kube.Apply(context.WithoutCancel(s.Context()), client.ApplyConfigurationFromUnstructured(manifest),
		client.FieldOwner("kustomize-controller"), client.ForceOwnership))
}
