// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// A grant is one resource of one rule.
type grant struct {
	group, resource string
	verbs           []string
	// own is that of a Role, in the namespace of Weir.
	own bool
}

// groupsOf are the API groups of each controller's own kinds.
func groupsOf() map[string]string {
	return map[string]string{
		"source-controller": "source.toolkit.fluxcd.io", "kustomize-controller": "kustomize.toolkit.fluxcd.io",
		"helm-controller": "helm.toolkit.fluxcd.io", "gpu-quota-controller": "quota.weir.dev", "image-automation-controller": "image.toolkit.fluxcd.io",
	}
}

// rowOf is the line of the table that a grant belongs to.
func rowOf(account string, g grant) string {
	resource, _, _ := strings.Cut(g.resource, "/")
	switch {
	case g.group == groupsOf()[account]:
		return "its own kinds"
	case slices.Contains(slices.Collect(maps.Values(groupsOf())), g.group):
		return "other kinds of Weir"
	case (resource == "secrets" || resource == "configmaps") && g.own:
		return "Secrets and ConfigMaps of `weir-system`"
	case resource == "secrets" || resource == "configmaps":
		return "Secrets and ConfigMaps of all namespaces"
	}
	row, named := map[string]string{
		"serviceaccounts": "service accounts", "events": "Events", "customresourcedefinitions": "CRDs", "namespaces": "Namespaces",
		"leases": "Leases", "pods": "Pods", "nodes": "Nodes", "subjectaccessreviews": "SubjectAccessReviews",
		"validatingwebhookconfigurations": "ValidatingWebhookConfigurations",
	}[resource]
	if !named && g.group != "" {
		return "workloads"
	}
	return row
}

// grantsTo returns what the roles that are bound to an account allow, those of
// cluster-admin apart.
func grantsTo(t *testing.T, in *installation, account string) (grants []grant, administrator bool) {
	t.Helper()
	for _, object := range in.objects {
		if kind := object.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
			continue
		}
		binding := typed[rbacv1.ClusterRoleBinding](t, object)
		if !slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s.Name == account }) {
			continue
		}
		administrator = administrator || binding.RoleRef.Name == "cluster-admin"
		for _, role := range in.objects {
			if role.GetKind() != binding.RoleRef.Kind || role.GetName() != binding.RoleRef.Name {
				continue
			}
			for _, rule := range typed[rbacv1.ClusterRole](t, role).Rules {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						grants = append(grants, grant{group, resource, rule.Verbs, binding.RoleRef.Kind == "Role"})
					}
				}
			}
		}
	}
	return grants, administrator
}

// TestAccountsTable holds the table of the accounts on the security page to the
// roles: whatever a role allows is in the cell that it belongs to, a cell
// speaks of writing if and only if something may be written, and one that says
// nothing has nothing behind it.
func TestAccountsTable(t *testing.T) {
	t.Parallel()
	in := overlays()["full"].build(t)
	rows := table(t, "The accounts", "")
	writes := regexp.MustCompile(`\b(write|set|make|create|change|delete|impersonate|label|keep)\b`)
	cells := map[string]map[string]string{}
	for _, row := range rows[1:] {
		cells[row[0]] = map[string]string{}
		for i, cell := range row[1:] {
			if strings.Trim(cell, "*") == "the same" {
				cell = cells[row[0]][rows[0][i]]
			}
			cells[row[0]][rows[0][i+1]] = cell
		}
	}
	for _, account := range rows[0][1:] {
		grants, administrator := grantsTo(t, in, account)
		if len(grants) == 0 {
			t.Fatalf("no role is bound to %s", account)
		}
		may := map[string][]string{}
		for _, g := range grants {
			row := rowOf(account, g)
			if cells[row] == nil {
				t.Errorf("no line of the table is about %s of %q, which %s may %v", g.resource, g.group, account, g.verbs)
			}
			may[row] = append(may[row], g.verbs...)
		}
		if administrator {
			may["everything else"] = []string{"*"}
		}
		for row, of := range cells {
			writing := slices.ContainsFunc(may[row], func(verb string) bool { return verb != "get" && verb != "list" && verb != "watch" })
			switch cell := of[account]; {
			case (cell == "–") != (may[row] == nil):
				t.Errorf("%s, %s: the table says %q, and the roles %v", row, account, cell, may[row])
			case row == "everything else":
			case writes.MatchString(cell) != writing:
				t.Errorf("%s, %s: the table says %q, and the roles %v", row, account, cell, may[row])
			}
		}
	}
}
