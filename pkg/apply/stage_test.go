// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func TestStageOf(t *testing.T) {
	for gk, want := range map[schema.GroupKind]stage{
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: stageDefinitions,
		{Kind: "Namespace"}: stageDefinitions,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                       stageDefinitions,
		{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                             stageClasses,
		{Group: "resource.k8s.io", Kind: "DeviceClass"}:                                 stageClasses,
		{Kind: "ServiceAccount"}:                                                        stageSetup,
		{Kind: "Secret"}:                                                                stageSetup,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                stageSetup,
		{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                              stageEarly,
		{Group: "example.com", Kind: "Secret"}:                                          stageWorkloads,
		{Group: "apps", Kind: "Deployment"}:                                             stageWorkloads,
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: stageWebhooks,
		{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   stageWebhooks,
	} {
		if got := stageOf(gk); got != want {
			t.Errorf("stageOf(%s) = %d, want %d", gk, got, want)
		}
	}
	if !slices.IsSorted(stages) || len(stages) != int(stageWebhooks)+1 {
		t.Errorf("stages %v are not all of them in order", stages)
	}
}

func newObject(apiVersion, kind, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}}
}

func TestPrepareSortsByStage(t *testing.T) {
	want := []string{
		"CustomResourceDefinition/things.example.com", "Namespace/a", "ClusterRole/r", "PriorityClass/high",
		"ServiceAccount/a", "ConfigMap/a", "ConfigMap/b", "Secret/a", "Service/a",
		"Deployment/a", "Deployment/b", "Thing/a", "Ingress/a", "ValidatingWebhookConfiguration/v",
	}
	objects := []*unstructured.Unstructured{
		newObject("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "v"),
		newObject("example.com/v1", "Thing", "a"), newObject("networking.k8s.io/v1", "Ingress", "a"),
		newObject("apps/v1", "Deployment", "b"), newObject("apps/v1", "Deployment", "a"),
		newObject("v1", "Service", "a"), newObject("v1", "Secret", "a"),
		newObject("v1", "ConfigMap", "b"), newObject("v1", "ConfigMap", "a"), newObject("v1", "ServiceAccount", "a"),
		newObject("scheduling.k8s.io/v1", "PriorityClass", "high"),
		newObject("rbac.authorization.k8s.io/v1", "ClusterRole", "r"), newObject("v1", "Namespace", "a"),
		newObject("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.example.com"),
	}
	for round := range 2 {
		slices.Reverse(objects)
		copies := make([]*unstructured.Unstructured, len(objects))
		for i, obj := range objects {
			copies[i] = obj.DeepCopy()
		}
		desired, err := Prepare(copies, types.NamespacedName{Namespace: "ns", Name: "owner"}, testLabels, testKeys)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range desired {
			got = append(got, d.Ref.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d: order (-want +got):\n%s", round, diff)
		}
	}
}

func TestPrepare(t *testing.T) {
	owner := types.NamespacedName{Namespace: "ns", Name: "owner"}
	marked := func(values map[string]string) *unstructured.Unstructured {
		obj := newObject("v1", "ConfigMap", "a")
		obj.SetAnnotations(values)
		return obj
	}
	for name, tc := range map[string]struct {
		annotations map[string]string
		policy      Policy
		force, left bool
	}{
		"nothing asked":      {nil, Override, false, false},
		"merge":              {map[string]string{testKeys.Policy: "merge"}, Merge, false, false},
		"if not present":     {map[string]string{testKeys.Policy: "IfNotPresent"}, IfNotPresent, false, false},
		"ignore":             {map[string]string{testKeys.Policy: "Ignore"}, Ignore, false, true},
		"policy unheard of":  {map[string]string{testKeys.Policy: "Whatever"}, Override, false, false},
		"force":              {map[string]string{testKeys.Force: "Enabled"}, Override, true, false},
		"force, disabled":    {map[string]string{testKeys.Force: "disabled"}, Override, false, false},
		"reconcile disabled": {map[string]string{testKeys.Reconcile: "disabled"}, Override, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			desired, err := Prepare([]*unstructured.Unstructured{marked(tc.annotations)}, owner, testLabels, testKeys)
			if err != nil {
				t.Fatal(err)
			}
			d := desired[0]
			if d.Policy != tc.policy || d.Force != tc.force || d.Left != tc.left {
				t.Errorf("policy %d, force %t, left %t", d.Policy, d.Force, d.Left)
			}
			if diff := cmp.Diff(map[string]string{testLabels.Name: "owner", testLabels.Namespace: "ns"}, d.Object.GetLabels()); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Prepare([]*unstructured.Unstructured{marked(nil), marked(nil)}, owner, testLabels, testKeys); err == nil || !strings.Contains(err.Error(), "ConfigMap/a is declared twice") {
		t.Errorf("error %v, want that the ConfigMap is declared twice", err)
	}
	one, _ := Prepare([]*unstructured.Unstructured{marked(map[string]string{"x": "1"})}, owner, testLabels, testKeys)
	same, _ := Prepare([]*unstructured.Unstructured{marked(map[string]string{"x": "1"})}, owner, testLabels, testKeys)
	other, _ := Prepare([]*unstructured.Unstructured{marked(map[string]string{"x": "2"})}, owner, testLabels, testKeys)
	if one[0].Digest != same[0].Digest || one[0].Digest == other[0].Digest {
		t.Errorf("digests %s, %s of the same and %s of another object", one[0].Digest, same[0].Digest, other[0].Digest)
	}
}
