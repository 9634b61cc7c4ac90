// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

const (
	root         = "../.."
	securityPage = "docs/security.md"
	// everyController is what the matrix writes for all of them.
	everyController = "every controller"
)

// strangers are those whom the matrix names beside the controllers.
func strangers(namespace string) map[string]endpoint {
	return map[string]endpoint{
		"other pods there":   {namespace: namespace, labels: labels.Set{"app": "debug"}},
		"pods elsewhere":     {namespace: "team-serving", labels: labels.Set{"app.kubernetes.io/name": "chat"}},
		"monitoring":         {namespace: "monitoring", marks: labels.Set{"weir.dev/monitoring": "true"}},
		"outside of cluster": {address: "192.0.2.7"},
	}
}

// TestTrafficMatrix holds the network policies of every overlay to the matrix
// of the security page: for each port that a pod of Weir declares and each that
// may connect to it there is one cell, and the policies say the same.
func TestTrafficMatrix(t *testing.T) {
	t.Parallel()
	matrix := readMatrix(t)
	for name, overlay := range overlays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods, policies := network(t, build(t, overlay.dir()))
			if len(pods) == 0 || len(policies) == 0 {
				t.Fatalf("%d controllers and %d policies", len(pods), len(policies))
			}
			checked := 0
			for name, to := range pods {
				peers := strangers(to.namespace)
				maps.Copy(peers, pods)
				for _, port := range to.ports {
					row := matrix.row(overlay.folder, to.program, port)
					for from, other := range peers {
						want, ok := row[cmp.Or(other.program, from)]
						if !ok {
							t.Errorf("the matrix does not say whether %s may connect to port %d of %s", from, port.ContainerPort, name)
							continue
						}
						checked++
						if got := permits(policies, connection{other, to, corev1.ProtocolTCP, port.ContainerPort}); got != want {
							t.Errorf("%s to port %d of %s: the policies permit it: %t, the matrix: %t", from, port.ContainerPort, name, got, want)
						}
					}
				}
			}
			t.Logf("%d connections among %d controllers and %d strangers", checked, len(pods), len(strangers("")))
		})
	}
}

// TestForeignPodsInFluxsNamespace checks that the drop-in leaves the pods of
// others, notification-controller's above all, reachable.
func TestForeignPodsInFluxsNamespace(t *testing.T) {
	t.Parallel()
	pods, policies := network(t, build(t, overlays()["drop-in"].dir()))
	kustomize := pods["kustomize-controller"]
	foreign := endpoint{
		namespace: kustomize.namespace, labels: labels.Set{"app": "notification-controller", partOf: "flux", component: "notification-controller"},
		ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 9090}},
	}
	for who, from := range map[string]endpoint{"a pod elsewhere": {namespace: "elsewhere"}, "kustomize-controller": kustomize} {
		if !permits(policies, connection{from, foreign, corev1.ProtocolTCP, 9090}) {
			t.Errorf("%s cannot connect to a pod of Flux's in the same namespace", who)
		}
	}
}

// network returns the pods of an overlay by their Deployments, and its policies.
func network(t *testing.T, objects []*unstructured.Unstructured) (map[string]endpoint, []networkingv1.NetworkPolicy) {
	t.Helper()
	pods, policies := map[string]endpoint{}, []networkingv1.NetworkPolicy{}
	for _, object := range objects {
		switch object.GetKind() {
		case "Deployment":
			d := typed[appsv1.Deployment](t, object)
			container := d.Spec.Template.Spec.Containers[0]
			program, _, _ := strings.Cut(path.Base(container.Image), ":")
			pods[d.Name] = endpoint{program: program, namespace: d.Namespace, labels: d.Spec.Template.Labels, ports: container.Ports}
		case "NetworkPolicy":
			policies = append(policies, *typed[networkingv1.NetworkPolicy](t, object))
		}
	}
	return pods, policies
}

// A matrix says by "<to> <port>" who may connect.
type matrix map[string]map[string]bool

// row is that of a controller of an overlay, or else of every controller there,
// or else of the same in all overlays.
func (m matrix) row(overlay, name string, port corev1.ContainerPort) map[string]bool {
	for _, to := range []string{name + ", " + overlay, everyController + ", " + overlay, name} {
		if row := m[fmt.Sprintf("%s %d", to, port.ContainerPort)]; row != nil {
			return row
		}
	}
	return m[fmt.Sprintf("%s %d", everyController, port.ContainerPort)]
}

// readMatrix takes the table "who talks to whom" from the page: the first
// column is who is connected to, the second the port, and each that follows who
// connects.
func readMatrix(t *testing.T) matrix {
	t.Helper()
	rows := table(t, "Who talks to whom", "to")
	heads := rows[0][3:]
	m := matrix{}
	for _, row := range rows[1:] {
		port, err := strconv.Atoi(strings.Trim(row[1], "`"))
		if err != nil {
			t.Fatalf("the port in %v: %v", row, err)
		}
		cells := map[string]bool{}
		for i, cell := range row[3:] {
			if cell != "yes" && cell != "no" {
				t.Fatalf("the matrix says %q in %v; write yes or no", cell, row)
			}
			cells[heads[i]] = cell == "yes"
		}
		m[fmt.Sprintf("%s %d", row[0], port)] = cells
	}
	return m
}

// table returns the cells of a table of the page, its head first.
func table(t *testing.T, section, first string) [][]string {
	t.Helper()
	page, err := markdown.Read(root, securityPage)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, s := range page.Sections {
		if s.Heading != section {
			continue
		}
		for line := range strings.Lines(s.Text) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			switch isRow := strings.HasPrefix(line, "|"); {
			case !isRow && len(rows) > 0:
				return rows
			case isRow && (len(rows) > 0 || cells[0] == first) && !strings.HasPrefix(cells[0], "---"):
				rows = append(rows, cells)
			}
		}
	}
	if len(rows) < 2 {
		t.Fatalf("%s has no table under %q whose first column is %q", securityPage, section, first)
	}
	return rows
}

// TestEgressExample checks the policy that the page proposes for what leaves:
// with it each row of the page's table works, for the controllers that it
// names, and nothing else does.
func TestEgressExample(t *testing.T) {
	t.Parallel()
	pods, policies := network(t, build(t, bootstrapDir))
	policies = append(policies, proposed(t))
	git, apiServer := endpoint{address: "203.0.113.10"}, endpoint{address: "198.51.100.1"}
	dns := endpoint{namespace: "kube-system", labels: labels.Set{"k8s-app": "kube-dns"}}
	targets := map[string][]connection{
		"DNS":               {{to: dns, protocol: corev1.ProtocolUDP, port: 53}, {to: dns, protocol: corev1.ProtocolTCP, port: 53}},
		"the API server":    {{to: apiServer, protocol: corev1.ProtocolTCP, port: 6443}},
		"source-controller": {{to: pods["source-controller"], protocol: corev1.ProtocolTCP, port: 9090}},
		"Git":               {{to: git, protocol: corev1.ProtocolTCP, port: 443}, {to: git, protocol: corev1.ProtocolTCP, port: 22}},
	}
	for _, row := range table(t, "Who talks to whom", "from")[1:] {
		names := strings.Split(row[0], ", ")
		if row[0] == everyController {
			names = slices.Collect(maps.Keys(pods))
		}
		for _, name := range names {
			from, known := pods[name]
			for _, c := range targets[row[1]] {
				c.from = from
				if !known || !permits(policies, c) {
					t.Errorf("%s does not reach %s on port %d", name, row[1], c.port)
				}
			}
		}
	}
	for what, c := range map[string]connection{
		"a stranger's port 443":   {to: endpoint{address: "192.0.2.7"}, protocol: corev1.ProtocolTCP, port: 443},
		"a tenant's pod":          {to: endpoint{namespace: "team-serving"}, protocol: corev1.ProtocolTCP, port: 8000},
		"port 8080 of the server": {to: git, protocol: corev1.ProtocolTCP, port: 8080},
	} {
		c.from = pods["source-controller"]
		if permits(policies, c) {
			t.Errorf("with the proposed policy source-controller reaches %s", what)
		}
	}
}

// proposed is the policy of the page.
func proposed(t *testing.T) networkingv1.NetworkPolicy {
	t.Helper()
	page, err := markdown.Read(root, securityPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range page.Blocks {
		var p networkingv1.NetworkPolicy
		if b.Language == "yaml" && strings.Contains(b.Text, "kind: NetworkPolicy") {
			if err := yaml.UnmarshalStrict([]byte(b.Text), &p); err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatalf("%s proposes no policy", securityPage)
	return networkingv1.NetworkPolicy{}
}
