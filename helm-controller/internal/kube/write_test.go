// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/apply"
)

const fourObjects = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {key: one}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example.com/web:1}]}
`

func actions(written []Written) map[string]apply.Action {
	out := map[string]apply.Action{}
	for _, w := range written {
		out[w.Object.GetKind()+"/"+w.Object.GetName()] = w.Action
	}
	return out
}

func TestOneRequestForEachObject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	objects := r.members(fourObjects)
	written, err := c.Create(objects, true)
	r.must(err)
	want := map[string]apply.Action{"ServiceAccount/web": apply.Created, "ConfigMap/web": apply.Created, "Service/web": apply.Created, "Deployment/web": apply.Created}
	if diff := cmp.Diff(want, actions(written)); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	applies := []string{
		"PATCH /api/v1/namespaces/$NS/serviceaccounts/web", "PATCH /api/v1/namespaces/$NS/configmaps/web",
		"PATCH /api/v1/namespaces/$NS/services/web", "PATCH /apis/apps/v1/namespaces/$NS/deployments/web",
	}
	r.wantRequests(r.sent(), applies...)

	r.must(c.WaitReady(objects, true, deadline))
	if sent := r.sent(); len(sent) > 0 {
		t.Errorf("the tenant sent requests to wait: %q", sent)
	}

	after := r.members(strings.Replace(fourObjects, "key: one", "key: two", 1))
	written, err = c.Update(objects, after, true)
	r.must(err)
	want["ServiceAccount/web"], want["ConfigMap/web"], want["Service/web"], want["Deployment/web"] = apply.Configured, apply.Configured, apply.Configured, apply.Configured
	if diff := cmp.Diff(want, actions(written)); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	r.wantRequests(r.sent(), applies...)
	if got := r.field("web", "key"); got != "two" {
		t.Errorf("the ConfigMap has %q", got)
	}
	if diff := cmp.Diff(map[string]struct{}{r.tenant: {}}, r.users); diff != "" {
		t.Errorf("users of the requests (-want +got):\n%s", diff)
	}
	r.must(c.WaitReady(after, true, deadline))

	deleted, err := c.Delete(after, metav1.DeletePropagationBackground)
	r.must(err)
	if len(deleted) != 4 {
		t.Errorf("deleted %v", actions(deleted))
	}
	r.must(c.WaitGone(after, deadline))
	if r.live("apps/v1", "Deployment", "web") != nil {
		t.Error("the Deployment is still there")
	}
}

func TestUpdateDeletesWhatIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	const docs = `
apiVersion: v1
kind: ConfigMap
metadata: {name: stays}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: goes}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: missing}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: moved}
---
apiVersion: removed.example.com/v1
kind: Relic
metadata: {name: old, namespace: $NS}
`
	before := r.members(docs)
	_, err := c.Create(before[:5], true)
	r.must(err)
	r.kubectl("delete", "{apiVersion: v1, kind: ConfigMap, metadata: {name: missing, namespace: $NS}}")
	r.kubectl("helm", `{apiVersion: v1, kind: ConfigMap, metadata: {name: moved, namespace: $NS, annotations: {meta.helm.sh/release-name: other}}}`)
	written, err := c.Update(before, before[:1], true)
	r.must(err)
	want := map[string]apply.Action{"ConfigMap/stays": apply.Configured, "ConfigMap/goes": apply.Deleted, "ConfigMap/missing": "", "ConfigMap/kept": "", "ConfigMap/moved": "", "Relic/old": ""}
	if diff := cmp.Diff(want, actions(written)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	for name, there := range map[string]bool{"stays": true, "goes": false, "kept": true, "moved": true} {
		if got := r.live("v1", "ConfigMap", name) != nil; got != there {
			t.Errorf("%s is there: %t", name, got)
		}
	}
}

// What a client-side release of Helm, or of this controller, has set becomes ours,
// so that a field which the chart gives up goes.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	for _, manager := range []string{"helm", "helm-controller"} {
		t.Run(manager, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			obj := r.objects(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {given: up, key: old}}`)[0]
			_, err := r.resource(obj).Create(t.Context(), obj, metav1.CreateOptions{FieldManager: manager})
			r.must(err)
			r.kubectl("kubectl-edit", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {theirs: stays}}`)
			c := r.action()
			const docs = `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: new}}`
			r.create(c, docs)
			live := r.live("v1", "ConfigMap", "a")
			data, _, _ := unstructured.NestedStringMap(live.Object, "data")
			if diff := cmp.Diff(map[string]string{"key": "new", "theirs": "stays"}, data); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			for _, entry := range live.GetManagedFields() {
				if entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationUpdate {
					t.Errorf("%s still has fields: %s", manager, toYAML(t, live))
				}
			}
			r.sent()
			r.create(c, docs)
			r.wantRequests(r.sent(), "PATCH /api/v1/namespaces/$NS/configmaps/a")
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	const jobs = `
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "registry.example.com/i:1"}]}}}
`
	r.create(c, jobs)
	_, err := c.Create(r.members(strings.Replace(jobs, "i:1", "i:2", 1)), true)
	r.wantText(err, "Job/$NS/work apply failed", "immutable", "delete the object to have it created anew")

	_, err = c.Create(r.members(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dota: {key: one}}`), true)
	r.wantText(err, "ConfigMap/$NS/a apply failed", "dota")

	_, err = c.Create(r.members(`{apiVersion: v1, kind: Secret, metadata: {name: s}, type: kubernetes.io/tls, stringData: {password: hunter2}}`), true)
	r.wantText(err, "Secret/$NS/s apply failed")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret in %q", err)
	}

	_, err = c.Create(r.members(`{apiVersion: nowhere.example.com/v1, kind: Thing, metadata: {name: t, namespace: $NS}}`), true)
	r.wantText(err, "Thing/$NS/t apply failed", "install its CustomResourceDefinition first")

	_, err = c.Create(r.members(`{apiVersion: v1, kind: Namespace, metadata: {name: elsewhere}}`), true)
	r.wantText(err, "Namespace/elsewhere", "forbidden")
}

// What is no part of the release is only created, and one without a name gets one.
func TestObjectsOutsideOfTheRelease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	objects := r.objects(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: one}}`)
	_, err := c.Create(objects, false)
	r.must(err)
	_, err = c.Create(r.objects(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: two}}`), false)
	r.wantText(err, "already exists")
	if got := r.field("a", "key"); got != "one" {
		t.Errorf("it was changed to %q", got)
	}
	written, err := c.Create(r.members(`{apiVersion: v1, kind: ConfigMap, metadata: {generateName: some-}}`), true)
	r.must(err)
	if name := written[0].Live.GetName(); !strings.HasPrefix(name, "some-") || name == "some-" {
		t.Errorf("its name is %q", name)
	}
}

// Of an object that is declared twice the last one stays, as if they were written
// one after the other.
func TestDeclaredTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(r.action(), `
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: one}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: two}}`)
	if got := r.field("a", "key"); got != "two" {
		t.Errorf("the ConfigMap has %q", got)
	}
}
