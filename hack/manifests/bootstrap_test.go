// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// Who is asked about in TestRights.
const (
	sourceController    = "system:serviceaccount:weir-system:source-controller"
	kustomizeController = "system:serviceaccount:weir-system:kustomize-controller"
	quotaController     = "system:serviceaccount:weir-system:gpu-quota-controller"
	imageController     = "system:serviceaccount:weir-system:image-automation-controller"
	helmController      = "system:serviceaccount:weir-system:helm-controller"
)

// TestBootstrapOrder checks the order that `kubectl delete -k` deletes in: the
// controllers can let go of their objects only while they have their rights.
func TestBootstrapOrder(t *testing.T) {
	t.Parallel()
	for dir, o := range overlays() {
		objects := build(t, o.dir())
		if objects[0].GetName() != "kustomizations.kustomize.toolkit.fluxcd.io" {
			t.Errorf("%s: a Weir that manages itself could bring back %s, because it is deleted first", dir, identify(objects[0]))
		}
		first := func(kind string) int {
			return slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind })
		}
		for _, pair := range [][2]string{
			{"CustomResourceDefinition", "Namespace"},
			{"Namespace", "ServiceAccount"},
			{"ServiceAccount", "Deployment"},
			{"Deployment", "ClusterRole"},
			{"Deployment", "ClusterRoleBinding"},
		} {
			if first(pair[0]) > first(pair[1]) {
				t.Errorf("%s: %s comes after %s", dir, pair[0], pair[1])
			}
		}
	}
}

// TestLockingDownTakesRights checks that locking down takes away cluster-admin,
// adds flags and keeps metrics to those who monitor, and changes nothing else.
func TestLockingDownTakesRights(t *testing.T) {
	t.Parallel()
	open, locked := byID(build(t, bootstrapDir)), byID(build(t, lockedDownDir))
	const admin = "ClusterRoleBinding weir-cluster-admin"
	if open[admin] == nil || locked[admin] != nil {
		t.Errorf("%s: default has it: %t, locked-down has it: %t", admin, open[admin] != nil, locked[admin] != nil)
	}
	delete(open, admin)
	const metrics = "NetworkPolicy weir-system/allow-metrics"
	if cmp.Equal(open[metrics], locked[metrics]) {
		t.Errorf("%s is the same", metrics)
	}
	delete(open, metrics)
	delete(locked, metrics)
	for _, objects := range []map[string]map[string]any{open, locked} {
		maps.DeleteFunc(objects, func(id string, _ map[string]any) bool { return strings.HasPrefix(id, "Deployment ") })
	}
	if diff := cmp.Diff(open, locked); diff != "" {
		t.Errorf("the overlays differ in more than they say (-default +locked-down):\n%s", diff)
	}
}

// TestWhatAPruneMustNotTake checks the objects that would take others along if
// a Weir that manages itself pruned them.
func TestWhatAPruneMustNotTake(t *testing.T) {
	t.Parallel()
	var objects []*unstructured.Unstructured
	for _, o := range overlays() {
		objects = append(objects, build(t, o.dir())...)
	}
	for _, object := range objects {
		annotations := object.GetAnnotations()
		if kind := object.GetKind(); kind != "CustomResourceDefinition" && kind != "Namespace" {
			continue
		}
		if annotations["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
			t.Errorf("%s can be pruned", identify(object))
		}
		if object.GetKind() == "CustomResourceDefinition" && annotations["kustomize.toolkit.fluxcd.io/substitute"] != "disabled" {
			t.Errorf("variables are filled in in %s", identify(object))
		}
	}
}

// right is a question to the authorizer.
type right struct {
	user, verb, group, resource, sub, namespace, name string
}

// TestRights asks what the shipped roles allow, without cluster-admin.
func TestRights(t *testing.T) {
	t.Parallel()
	installed(t, "")
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	bindPeople(t, client)
	all := rights()
	maps.Copy(all, quotaRights())
	maps.Copy(all, imageRights())
	maps.Copy(all, helmRights())
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ask := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: tc.user,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: tc.verb, Group: tc.group, Version: "*", Resource: tc.resource,
					Subresource: tc.sub, Namespace: tc.namespace, Name: tc.name,
				},
			}}
			// A new role or binding, and above all an aggregated one, counts a moment after it was written.
			allowed := false
			err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
				answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, ask, metav1.CreateOptions{})
				if err != nil {
					return false, err
				}
				allowed = answer.Status.Allowed
				return allowed || !tc.want, nil
			})
			if err != nil && !wait.Interrupted(err) {
				t.Fatal(err)
			}
			if allowed != tc.want {
				t.Errorf("%+v: allowed %t, want %t", tc.right, allowed, tc.want)
			}
		})
	}
}

// bindPeople gives "viewer", "editor" and "admin" the roles of those names in
// the namespace team-data.
func bindPeople(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	for person, role := range map[string]string{"viewer": "view", "editor": "edit", "admin": "admin"} {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: person},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: person}},
		}
		if _, err := client.RbacV1().RoleBindings("team-data").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// answer is what the shipped roles say to a right.
type answer struct {
	right
	want bool
}

func rights() map[string]answer {
	const (
		source    = "source.toolkit.fluxcd.io"
		kustomize = "kustomize.toolkit.fluxcd.io"
		crds      = "apiextensions.k8s.io"
		leases    = "coordination.k8s.io"
		ours      = "weir-system"
		theirs    = "team-data"
	)
	sc, kc := sourceController, kustomizeController
	return map[string]answer{
		"source: watch its kind":             {right{sc, "watch", source, "gitrepositories", "", "", ""}, true},
		"source: write status":               {right{sc, "patch", source, "gitrepositories", "status", theirs, ""}, true},
		"source: never delete":               {right{sc, "delete", source, "gitrepositories", "", theirs, ""}, false},
		"source: watch OCIRepositories":      {right{sc, "watch", source, "ocirepositories", "", "", ""}, true},
		"source: patch their status":         {right{sc, "patch", source, "ocirepositories", "status", theirs, ""}, true},
		"source: see their CRD":              {right{sc, "get", crds, "customresourcedefinitions", "", "", "ocirepositories." + source}, true},
		"source: watch HelmRepositories":     {right{sc, "watch", source, "helmrepositories", "", "", ""}, true},
		"source: watch HelmCharts":           {right{sc, "watch", source, "helmcharts", "", "", ""}, true},
		"source: patch a HelmChart's status": {right{sc, "patch", source, "helmcharts", "status", theirs, ""}, true},
		"source: see the CRD of HelmCharts":  {right{sc, "get", crds, "customresourcedefinitions", "", "", "helmcharts." + source}, true},
		"source: make no HelmChart":          {right{sc, "create", source, "helmcharts", "", theirs, ""}, false},
		"source: read a named account":       {right{sc, "get", "", "serviceaccounts", "", theirs, "data"}, true},
		"source: never list accounts":        {right{sc, "list", "", "serviceaccounts", "", theirs, ""}, false},
		"source: read a named secret":        {right{sc, "get", "", "secrets", "", theirs, "token"}, true},
		"source: never list secrets":         {right{sc, "list", "", "secrets", "", theirs, ""}, false},
		"source: tell what happened":         {right{sc, "create", "", "events", "", theirs, ""}, true},
		"source: see its CRD":                {right{sc, "get", crds, "customresourcedefinitions", "", "", "gitrepositories." + source}, true},
		"source: see no other CRD":           {right{sc, "get", crds, "customresourcedefinitions", "", "", "foos.example.com"}, false},
		"source: look for a counterpart":     {right{sc, "list", leases, "leases", "", "", ""}, true},
		"source: hold its lease":             {right{sc, "update", leases, "leases", "", ours, "source-controller-leader-election"}, true},
		"source: hold no lease elsewhere":    {right{sc, "update", leases, "leases", "", theirs, ""}, false},
		"source: label its pod":              {right{sc, "patch", "", "pods", "", ours, ""}, true},
		"source: touch no pod elsewhere":     {right{sc, "patch", "", "pods", "", theirs, ""}, false},
		"source: find who led before":        {right{sc, "list", "", "pods", "", ours, ""}, true},
		"source: list no pods elsewhere":     {right{sc, "list", "", "pods", "", theirs, ""}, false},
		"source: see its namespace going":    {right{sc, "get", "", "namespaces", "", ours, ours}, true},
		"source: take on nobody":             {right{sc, "impersonate", "", "serviceaccounts", "", theirs, "data"}, false},
		"kustomize: watch its kind":          {right{kc, "watch", kustomize, "kustomizations", "", "", ""}, true},
		"kustomize: write status":            {right{kc, "patch", kustomize, "kustomizations", "status", theirs, ""}, true},
		"kustomize: watch sources":           {right{kc, "watch", source, "gitrepositories", "", "", ""}, true},
		"kustomize: never write sources":     {right{kc, "patch", source, "gitrepositories", "", theirs, ""}, false},
		"kustomize: watch CRDs":              {right{kc, "watch", crds, "customresourcedefinitions", "", "", ""}, true},
		"kustomize: ask for a tenant":        {right{kc, "create", "authorization.k8s.io", "subjectaccessreviews", "", "", ""}, true},
		"kustomize: take on an account":      {right{kc, "impersonate", "", "serviceaccounts", "", theirs, "data"}, true},
		"kustomize: see whether it exists":   {right{kc, "get", "", "serviceaccounts", "", theirs, "data"}, true},
		"kustomize: take on no user":         {right{kc, "impersonate", "", "users", "", "", "admin"}, false},
		"kustomize: take on no group":        {right{kc, "impersonate", "", "groups", "", "", "system:masters"}, false},
		"kustomize: apply nothing as itself": {right{kc, "patch", "apps", "deployments", "", theirs, ""}, false},
		"kustomize: never list secrets":      {right{kc, "list", "", "secrets", "", theirs, ""}, false},
		"kustomize: hold its lease":          {right{kc, "create", leases, "leases", "", ours, ""}, true},
		"viewer: see kustomizations":         {right{"viewer", "list", kustomize, "kustomizations", "", theirs, ""}, true},
		"viewer: see sources":                {right{"viewer", "list", source, "gitrepositories", "", theirs, ""}, true},
		"editor: see kustomizations":         {right{"editor", "list", kustomize, "kustomizations", "", theirs, ""}, true},
		"editor: make no kustomization":      {right{"editor", "create", kustomize, "kustomizations", "", theirs, ""}, false},
		"admin: make no kustomization":       {right{"admin", "create", kustomize, "kustomizations", "", theirs, ""}, false},
		"viewer: see OCI sources":            {right{"viewer", "list", source, "ocirepositories", "", theirs, ""}, true},
		"admin: make no source":              {right{"admin", "create", source, "gitrepositories", "", theirs, ""}, false},
		"viewer: see charts":                 {right{"viewer", "list", source, "helmcharts", "", theirs, ""}, true},
		"admin: make no Helm source":         {right{"admin", "create", source, "helmrepositories", "", theirs, ""}, false},
		"admin: make no chart":               {right{"admin", "create", source, "helmcharts", "", theirs, ""}, false},
		"admin: make no OCI source":          {right{"admin", "create", source, "ocirepositories", "", theirs, ""}, false},
	}
}
