// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

const (
	ours      = "weir-system"
	flux      = "flux-system"
	shardKey  = "sharding.fluxcd.io/key"
	partOf    = "app.kubernetes.io/part-of"
	component = "app.kubernetes.io/component"
	appName   = "app.kubernetes.io/name"
)

// overlay is one of the folders that install Weir.
type overlay struct {
	// folder below bootstrap.
	folder    string
	namespace string
	// deployments that it has.
	deployments []string
	// administrators are the accounts that it makes cluster-admin.
	administrators []string
}

func overlays() map[string]overlay {
	all := []string{"gpu-quota-controller", "helm-controller", "image-automation-controller", "kustomize-controller", "source-controller"}
	both := []string{"kustomize-controller", "helm-controller"}
	shards := slices.Sorted(slices.Values(append(slices.Clone(all), "helm-controller-shard1", "kustomize-controller-shard1", "source-controller-shard1")))
	return map[string]overlay{
		"full":              {".", ours, all, both},
		"minimal":           {"minimal", ours, []string{"kustomize-controller", "source-controller"}, both[:1]},
		"high-availability": {"high-availability", ours, all, both},
		"sharded":           {"sharded", ours, shards, both},
		"locked-down":       {"locked-down", ours, all, nil},
		"drop-in":           {"drop-in", flux, all, both},
	}
}

func (o overlay) dir() string { return filepath.Join(bootstrapDir, o.folder) }

// TestEveryFolderOfBootstrapIsKnown keeps the list of overlays complete.
func TestEveryFolderOfBootstrapIsKnown(t *testing.T) {
	t.Parallel()
	// What overlays are made of, and what comes after one.
	known := map[string]bool{"base": true, "cluster-admin": true, "components": true, "self": true}
	for _, o := range overlays() {
		known[o.folder] = true
	}
	entries, err := os.ReadDir(bootstrapDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && !known[entry.Name()] {
			t.Errorf("no test knows bootstrap/%s", entry.Name())
		}
	}
}

// installation is what an overlay installs, by kinds.
type installation struct {
	overlay
	objects     []*unstructured.Unstructured
	deployments map[string]*appsv1.Deployment
	services    map[string]*corev1.Service
	budgets     map[string]*policyv1.PodDisruptionBudget
}

func (o overlay) build(t *testing.T) *installation {
	t.Helper()
	in := &installation{
		overlay: o, objects: build(t, o.dir()),
		deployments: map[string]*appsv1.Deployment{}, services: map[string]*corev1.Service{},
		budgets: map[string]*policyv1.PodDisruptionBudget{},
	}
	for _, object := range in.objects {
		switch object.GetKind() {
		case "Deployment":
			in.deployments[object.GetName()] = typed[appsv1.Deployment](t, object)
		case "Service":
			in.services[object.GetName()] = typed[corev1.Service](t, object)
		case "PodDisruptionBudget":
			in.budgets[object.GetName()] = typed[policyv1.PodDisruptionBudget](t, object)
		}
	}
	return in
}

// typed is an object as its Go type, which must know all its fields.
func typed[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, out, true); err != nil {
		t.Fatalf("%s: %v", identify(object), err)
	}
	return out
}

// forEach runs a test for every overlay.
func forEach(t *testing.T, test func(t *testing.T, in *installation)) {
	t.Helper()
	for name, o := range overlays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, o.build(t))
		})
	}
}

// byID indexes objects by kind, namespace and name.
func byID(objects []*unstructured.Unstructured) map[string]map[string]any {
	all := map[string]map[string]any{}
	for _, object := range objects {
		all[identify(object)] = object.Object
	}
	return all
}

// TestWhatOverlaysInstall checks what is in each overlay, and that all of it is
// in the overlay's namespace, with the release's label.
func TestWhatOverlaysInstall(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		if diff := cmp.Diff(in.overlay.deployments, slices.Sorted(maps.Keys(in.deployments))); diff != "" {
			t.Errorf("Deployments (-want +got):\n%s", diff)
		}
		seen, namespaces := map[string]bool{}, 0
		var administrators []string
		for _, object := range in.objects {
			id := identify(object)
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
			if namespace := object.GetNamespace(); namespace != "" && namespace != in.namespace {
				t.Errorf("%s is not in %s", id, in.namespace)
			}
			if object.GetKind() == "Namespace" {
				namespaces++
				if object.GetName() != in.namespace {
					t.Errorf("%s is not %s", id, in.namespace)
				}
			}
			if object.GetKind() == "ClusterRoleBinding" && object.GetName() == "weir-cluster-admin" {
				for _, subject := range typed[rbacv1.ClusterRoleBinding](t, object).Subjects {
					administrators = append(administrators, subject.Name)
				}
			}
			if object.GetLabels()[partOf] == "" {
				t.Errorf("%s has no label %s", id, partOf)
			}
		}
		if namespaces != 1 {
			t.Errorf("%d namespaces, want one", namespaces)
		}
		if diff := cmp.Diff(in.administrators, administrators); diff != "" {
			t.Errorf("administrators (-want +got):\n%s", diff)
		}
		checkAccounts(t, in)
	})
}

// checkAccounts checks that every account that gets a role exists, and that one
// exists for every Deployment.
func checkAccounts(t *testing.T, in *installation) {
	t.Helper()
	accounts := map[string]bool{}
	for _, object := range in.objects {
		if object.GetKind() == "ServiceAccount" {
			accounts[object.GetName()] = false
		}
	}
	for name, d := range in.deployments {
		account := d.Spec.Template.Spec.ServiceAccountName
		if _, found := accounts[account]; !found {
			t.Errorf("Deployment %s: there is no ServiceAccount %s", name, account)
		}
	}
	for _, object := range in.objects {
		if kind := object.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
			continue
		}
		for _, subject := range typed[rbacv1.ClusterRoleBinding](t, object).Subjects {
			if _, found := accounts[subject.Name]; !found || subject.Namespace != in.namespace {
				t.Errorf("%s is for %s/%s, which is not there", identify(object), subject.Namespace, subject.Name)
			}
			accounts[subject.Name] = true
		}
	}
	for account, bound := range accounts {
		if !bound {
			t.Errorf("ServiceAccount %s has no role", account)
		}
	}
}

// TestMinimalIsAPart checks that what is in minimal is what is in the default
// installation, and that nothing of the two controllers is left out.
func TestMinimalIsAPart(t *testing.T) {
	t.Parallel()
	whole, part := byID(build(t, bootstrapDir)), byID(build(t, overlays()["minimal"].dir()))
	const admin = "ClusterRoleBinding weir-cluster-admin"
	delete(part, admin)
	for id, object := range part {
		if diff := cmp.Diff(whole[id], object); diff != "" {
			t.Errorf("%s (-default +minimal):\n%s", id, diff)
		}
	}
	for id, object := range whole {
		name := (&unstructured.Unstructured{Object: object}).GetLabels()[appName]
		if other := name == "helm-controller" || name == "gpu-quota-controller" || name == "image-automation-controller"; !other && id != admin && part[id] == nil {
			t.Errorf("%s is left out of minimal", id)
		}
	}
}

// TestDropInIsTheDefaultElsewhere checks that the drop-in is the default
// installation in another namespace, wherever its name stands, but for labels
// and selectors.
func TestDropInIsTheDefaultElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere, dropIn := byID(moved(t, build(t, bootstrapDir))), byID(moved(t, build(t, overlays()["drop-in"].dir())))
	if text := fmt.Sprint(build(t, overlays()["drop-in"].dir())); strings.Contains(text, ours) {
		t.Errorf("something in the drop-in still names %s", ours)
	}
	for _, objects := range []map[string]map[string]any{elsewhere, dropIn} {
		for id, object := range objects {
			unstructured.RemoveNestedField(object, "metadata", "labels")
			for _, fields := range [][]string{
				{"spec", "selector"}, {"spec", "podSelector"},
				{"spec", "template", "metadata", "labels"}, {"spec", "template", "metadata", "annotations"},
			} {
				if strings.HasPrefix(id, "Deployment ") || id == "NetworkPolicy "+flux+"/default-deny" {
					unstructured.RemoveNestedField(object, fields...)
				}
			}
		}
	}
	if diff := cmp.Diff(elsewhere, dropIn); diff != "" {
		t.Errorf("(-default, moved +drop-in):\n%s", diff)
	}
}

// moved returns copies of objects with Flux's namespace wherever they name Weir's.
func moved(t *testing.T, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, object := range objects {
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		object, err := parse([]byte(strings.ReplaceAll(string(text), ours, flux)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, object)
	}
	return all
}

// TestDropInHasFluxsMarks checks what the flux CLI and monitoring select by.
func TestDropInHasFluxsMarks(t *testing.T) {
	t.Parallel()
	in := overlays()["drop-in"].build(t)
	for _, object := range in.objects {
		want := "flux"
		if object.GetLabels()[appName] == "gpu-quota-controller" {
			want = "weir"
		}
		if got := object.GetLabels()[partOf]; got != want {
			t.Errorf("%s is part of %s, want %s", identify(object), got, want)
		}
	}
	for name, d := range in.deployments {
		if name == "gpu-quota-controller" {
			continue
		}
		if diff := cmp.Diff(map[string]string{"app": name}, d.Spec.Selector.MatchLabels); diff != "" {
			t.Errorf("selector of %s, which cannot be changed and must be Flux's (-want +got):\n%s", name, diff)
		}
		template := d.Spec.Template
		if template.Labels["app"] != name || template.Labels[partOf] != "flux" || template.Annotations["prometheus.io/port"] != "8080" {
			t.Errorf("pods of %s have labels %v and annotations %v", name, template.Labels, template.Annotations)
		}
		if container := template.Spec.Containers[0]; container.Name != "manager" || !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == "http-prom" && p.ContainerPort == 8080
		}) {
			t.Errorf("container of %s: %s with ports %v", name, container.Name, container.Ports)
		}
	}
	if in.services["source-controller"] == nil {
		t.Error("there is no Service source-controller")
	}
}

// TestComponentsCombine builds what the README tells people to write who want
// several overlays at once.
func TestComponentsCombine(t *testing.T) {
	t.Parallel()
	for name, components := range map[string][]string{
		"tenants, without a gap":  {"locked-down", "high-availability"},
		"all in Flux's namespace": {"locked-down", "high-availability", "notifications", "drop-in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			root, err := filepath.Abs(bootstrapDir)
			if err == nil {
				root, err = filepath.Rel(dir, root)
			}
			if err != nil {
				t.Fatal(err)
			}
			text := "resources: [" + root + "/base]\nsortOptions: {order: fifo}\ncomponents:\n"
			for _, c := range components {
				text += "  - " + root + "/components/" + c + "\n"
			}
			if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			namespace := ours
			if slices.Contains(components, "drop-in") {
				namespace = flux
			}
			for _, object := range build(t, dir) {
				if got := object.GetNamespace(); got != "" && got != namespace {
					t.Errorf("%s is not in %s", identify(object), namespace)
				}
				if object.GetKind() != "Deployment" {
					continue
				}
				d := typed[appsv1.Deployment](t, object)
				args := d.Spec.Template.Spec.Containers[0].Args
				events := slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--events-addr=") })
				if *d.Spec.Replicas < 2 || !slices.Contains(args, "--leader-election-lease-duration=10s") ||
					events != (namespace == flux && d.Name != "gpu-quota-controller") {
					t.Errorf("%s has %d replicas and arguments %q", d.Name, *d.Spec.Replicas, args)
				}
			}
		})
	}
}
