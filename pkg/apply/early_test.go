// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

func TestEarlyKinds(t *testing.T) {
	e := &Engine{config: Config{Early: []schema.GroupKind{{Group: "example.com", Kind: "Realm"}, {Kind: "Namespace"}}}}
	for gk, want := range map[schema.GroupKind]stage{
		{Group: "example.com", Kind: "Realm"}:                             stageEarly,
		{Group: "example.com", Kind: "Other"}:                             stageWorkloads,
		{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                stageEarly,
		{Kind: "Namespace"}:                                               stageDefinitions,
		{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:               stageClasses,
		{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:         stageSetup,
		{Group: "admissionregistration.k8s.io", Kind: "NoSuchThing"}:      stageWorkloads,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:         stageDefinitions,
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: stageDefinitions,
	} {
		if got := e.stageOf(gk); got != want {
			t.Errorf("the stage of %s is %d, want %d", gk, got, want)
		}
	}
}

// Who is not an administrator of the cluster may bind a role only when it
// exists. A role and its binding in one set are no contradiction.
func TestRoleAndItsBindingByATenant(t *testing.T) {
	r := newRig(t)
	r.mustApply(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: tenant, namespace: $NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: $NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{kind: ServiceAccount, name: tenant, namespace: $NS}]`)
	cfg := cluster.Config()
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + r.owner.Namespace + ":tenant"}
	tenant, err := dynamic.NewForConfig(cfg)
	r.must(err)
	r.client = &Client{Dynamic: tenant, Mapper: r.client.Mapper, Manager: manager}
	r.owner.Name = "tenant"
	got := r.mustApply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: $NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: $NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]`)
	if diff := cmp.Diff(map[string]Action{"Role/reader": Created, "RoleBinding/readers": Created}, got); diff != "" {
		t.Errorf("apply (-want +got):\n%s", diff)
	}
}
