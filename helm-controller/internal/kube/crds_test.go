// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

const definitionOf = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.$GROUP}
spec:
  group: $GROUP
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, description: first, x-kubernetes-preserve-unknown-fields: true}}
`

func (r *rig) description(group string) string {
	r.Helper()
	live := r.live("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets."+group)
	if live == nil {
		return ""
	}
	versions, _, _ := unstructured.NestedSlice(live.Object, "spec", "versions")
	first, _ := versions[0].(map[string]any)
	text, _, _ := unstructured.NestedString(first, "schema", "openAPIV3Schema", "description")
	return text
}

func TestCRDs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.asAdministrator()
	group := rand.String(8) + ".example.com"
	docs := strings.ReplaceAll(definitionOf, "$GROUP", group)
	c := r.action()
	files := []File{{Name: "crds/widgets.yaml", Data: []byte(docs + "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: stray}}\n")}}

	out, err := c.CRDs(files, helmv2.Skip)
	r.must(err)
	if len(out.Written) > 0 || r.description(group) != "" {
		t.Errorf("Skip has written %v", actions(out.Written))
	}
	out, err = c.CRDs(files, "")
	r.must(err)
	if diff := cmp.Diff(map[string]apply.Action{"CustomResourceDefinition/widgets." + group: apply.Created}, actions(out.Written)); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]inventory.Ref{{Name: "stray", Kind: "ConfigMap"}}, out.Ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	labels := r.live("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets."+group).GetLabels()
	if diff := cmp.Diff(map[string]string{helmv2.OwnerNameLabel: "app", helmv2.OwnerNamespaceLabel: r.ns}, labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	// An object of the new kind can be written at once.
	widget := "{apiVersion: " + group + "/v1, kind: Widget, metadata: {name: w}, size: 3}"
	objects := r.create(c, widget)
	r.must(c.WaitReady(objects, true, deadline))

	files[0].Data = []byte(strings.Replace(docs, "first", "second", 1))
	r.sent()
	_, err = c.CRDs(files, helmv2.Create)
	r.must(err)
	if sent := r.sent(); len(sent) != 1 {
		t.Errorf("requests for a definition that is there: %q", sent)
	}
	if got := r.description(group); got != "first" {
		t.Errorf("Create has changed it to %q", got)
	}
	out, err = c.CRDs(files, helmv2.CreateReplace)
	r.must(err)
	if got := r.description(group); got != "second" || out.Written[0].Action != apply.Configured {
		t.Errorf("CreateReplace: %q, %v", got, actions(out.Written))
	}
	_, err = c.CRDs([]File{{Name: "crds/bad.yaml", Data: []byte("{")}}, helmv2.Create)
	r.wantText(err, "read crds/bad.yaml of the chart")
}

// asAdministrator gives the tenant all rights.
func (r *rig) asAdministrator() {
	r.kubectl("create", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: $NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: tenant, namespace: $NS}]`)
	r.eventually("the tenant has all rights", func() bool {
		namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
		_, err := r.client.Dynamic.Resource(namespaces).Get(r.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	r.Cleanup(func() {
		binding := r.objects(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: $NS}}`)[0]
		if err := r.resource(binding).Delete(contextWithoutEnd(r.T), binding.GetName(), metav1.DeleteOptions{}); err != nil {
			r.Error(err)
		}
	})
}

// A definition among the objects of a release is in effect before the objects of
// its kind are written.
func TestDefinitionsAmongObjects(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.asAdministrator()
	group := rand.String(8) + ".example.com"
	objects := r.members(strings.ReplaceAll(definitionOf+"---\n{apiVersion: $GROUP/v1, kind: Widget, metadata: {name: w, namespace: $NS}}", "$GROUP", group))
	declared := Declared(objects)
	mapping := declared[objects[1].GroupVersionKind()]
	if mapping == nil || mapping.Resource.Resource != "widgets" || mapping.Scope.Name() != "namespace" {
		t.Errorf("declared %+v", declared)
	}
	c := r.action()
	_, err := c.Create(objects, true)
	r.must(err)
	r.must(c.WaitReady(objects, true, deadline))
}

func TestInventory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	inv, warnings, err := Inventory(r.mapper, "target", `
# Source: chart/templates/all.yaml
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: other}}
---
{apiVersion: v1, kind: Pod, metadata: {name: hook, annotations: {helm.sh/hook: test}}}
---
# nothing
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "a:b"}}
---
{apiVersion: gone.example.com/v1, kind: Thing, metadata: {name: t}}
---
{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: listed}}]}
`, []File{{Name: "crds/w.yaml", Data: []byte(strings.ReplaceAll(definitionOf, "$GROUP", "example.com"))}})
	r.must(err)
	want := inventory.Inventory{
		{Namespace: "target", Name: "a", Kind: "ConfigMap"}:                                            "v1",
		{Namespace: "other", Name: "b", Kind: "ConfigMap"}:                                             "v1",
		{Name: "a:b", Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                         "v1",
		{Name: "t", Group: "gone.example.com", Kind: "Thing"}:                                          "v1",
		{Namespace: "target", Name: "listed", Kind: "Secret"}:                                          "v1",
		{Name: "widgets.example.com", Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: "v1",
	}
	if diff := cmp.Diff(want, inv); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Thing t") {
		t.Errorf("warnings %q", warnings)
	}
	for name, manifest := range map[string]string{"document 2 of the manifest is not YAML": "{apiVersion: v1, kind: A}\n---\n{", "it has no apiVersion or no kind": "a: b"} {
		_, _, err := Inventory(r.mapper, "target", manifest, nil)
		r.wantText(err, name)
	}
}
