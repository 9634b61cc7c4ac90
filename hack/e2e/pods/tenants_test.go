// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestTenants installs the overlay for clusters with tenants, on a cluster of its
// own, has one tenant reach for what is another's in every way that a manifest
// has, replaces the controllers, and at last uninstalls Weir.
func TestTenants(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	p, err := site.StartPodsBeside(ctx, "locked-down", testkit.WithNode(0))
	if err == nil {
		err = p.ServeGit(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	r := newRig(t, p, "tenants", nil)
	r.overlay = "locked-down"
	r.publish("tenants/server", "1.0.0")
	r.apply("objects.yaml")

	ready := func(kind string, name string) []string {
		return []string{"get", kind + "/" + name, "--namespace=tenants", `--output=jsonpath={.status.conditions[?(@.type=="Ready")]}`}
	}
	r.awaitReady("kustomization/own", "")
	r.awaitAnswer("server", "1.0.0")
	for _, attempt := range []struct{ kind, name, says string }{
		// Manifests for the neighbour's namespace, and for the whole cluster.
		{"kustomization", "neighbour", "forbidden"},
		{"kustomization", "cluster", "forbidden"},
		// Another's source, and values from another's Secret by name of the namespace.
		{"kustomization", "source", "other namespaces"},
		// An account that nobody gave rights to.
		{"kustomization", "nobody", "forbidden"},
		{"helmrelease", "chart", "forbidden"},
		// A dependency that the account may not read.
		{"kustomization", "secret", "forbidden"},
	} {
		said := strings.ToLower(r.awaitText(`"False"`, ready(attempt.kind, attempt.name)...))
		if !strings.Contains(said, attempt.says) {
			said = strings.ToLower(r.awaitText(attempt.says, ready(attempt.kind, attempt.name)...))
		}
		t.Logf("%s %s: %s", attempt.kind, attempt.name, said)
	}
	if left := r.kubectl("get", "configmaps,deployments", "--namespace=neighbour", "--output=name", "--selector=tenant=tenants"); left != "" {
		t.Errorf("the neighbour has %s", left)
	}
	for _, right := range [][]string{
		{"get", "secrets", "--namespace=" + platform.Namespace},
		{"get", "secrets", "--namespace=neighbour"},
		{"impersonate", "serviceaccounts", "--namespace=neighbour"},
		{"create", "clusterrolebindings"},
	} {
		// The answer counts, and not that the command failed: it does for want of an answer too.
		asked := "kubectl auth can-i --as=system:serviceaccount:tenants:team " + strings.Join(right, " ")
		if said, err := r.shell(asked + " || true").Output(); strings.TrimSpace(string(said)) != "no" {
			t.Errorf("%s: %q (%v)", asked, said, err)
		}
	}
	t.Run("replace", func(t *testing.T) { replacesControllers(ctx, t, r) })
	t.Run("uninstall", func(t *testing.T) { uninstalls(ctx, t, r) })
}

// uninstalls follows the steps of bootstrap's page, and sees the tenant's workload
// serve on and nothing of Weir left.
func uninstalls(ctx context.Context, t *testing.T, r *rig) {
	before := r.kubectl("get", "deployment/server", "--namespace=tenants", "--output=jsonpath={.metadata.uid}")
	crds := []string{"delete", "crd", "--timeout=60s"}
	for name := range strings.FieldsSeq(r.kubectl("get", "crd", "--output=jsonpath={.items[*].metadata.name}")) {
		if strings.HasSuffix(name, ".fluxcd.io") || strings.HasSuffix(name, ".weir.dev") {
			crds = append(crds, name)
		}
	}
	for _, args := range [][]string{
		crds,
		{"delete", "deployments", "--all", "--namespace=" + platform.Namespace, "--cascade=foreground", "--timeout=90s"},
		{"delete", "--ignore-not-found", "--timeout=90s", "-k", r.site.Bootstrap() + "/locked-down"},
	} {
		if _, err := r.site.Kubectl(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	if after := r.kubectl("get", "deployment/server", "--namespace=tenants", "--output=jsonpath={.metadata.uid}"); after != before {
		t.Errorf("the Deployment was %s and is %s", before, after)
	}
	r.awaitAnswer("server", "1.0.0")
	left := r.kubectl("get", "--output=name", "--ignore-not-found",
		"crd,clusterroles,clusterrolebindings,validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,namespaces")
	for line := range strings.Lines(left) {
		if strings.Contains(line, "weir") || strings.Contains(line, "fluxcd.io") {
			t.Errorf("%s is left", strings.TrimSpace(line))
		}
	}
}
