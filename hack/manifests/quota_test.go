// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

func quotaRights() map[string]answer {
	const (
		quota  = "quota.weir.dev"
		hooks  = "admissionregistration.k8s.io"
		ours   = "weir-system"
		theirs = "team-data"
		secret = "gpu-quota-webhook-certificate" //#nosec G101 -- a name
	)
	qc := quotaController
	return map[string]answer{
		"quota: watch its kind":              {right{qc, "watch", quota, "gpuquotas", "", "", ""}, true},
		"quota: write status":                {right{qc, "patch", quota, "gpuquotas", "status", "", ""}, true},
		"quota: never delete":                {right{qc, "delete", quota, "gpuquotas", "", "", ""}, false},
		"quota: see pods":                    {right{qc, "watch", "", "pods", "", "", ""}, true},
		"quota: never write pods":            {right{qc, "patch", "", "pods", "", theirs, ""}, false},
		"quota: evict nobody":                {right{qc, "create", "", "pods", "eviction", theirs, ""}, false},
		"quota: see nodes":                   {right{qc, "list", "", "nodes", "", "", ""}, true},
		"quota: see namespaces":              {right{qc, "get", "", "namespaces", "", "", theirs}, true},
		"quota: never write namespaces":      {right{qc, "patch", "", "namespaces", "", "", theirs}, false},
		"quota: ask a ReplicaSet":            {right{qc, "get", "apps", "replicasets", "", theirs, ""}, true},
		"quota: ask a JobSet":                {right{qc, "get", "jobset.x-k8s.io", "jobsets", "", theirs, ""}, true},
		"quota: never list workloads":        {right{qc, "list", "apps", "replicasets", "", "", ""}, false},
		"quota: wake a ReplicaSet":           {right{qc, "patch", "apps", "replicasets", "", theirs, ""}, true},
		"quota: wake a Job":                  {right{qc, "patch", "batch", "jobs", "", theirs, ""}, true},
		"quota: never write a Deployment":    {right{qc, "patch", "apps", "deployments", "", theirs, ""}, false},
		"quota: never scale":                 {right{qc, "patch", "apps", "statefulsets", "scale", theirs, ""}, false},
		"quota: keep its ledger":             {right{qc, "update", "", "configmaps", "", ours, "gpu-ledger-team"}, true},
		"quota: no ConfigMap elsewhere":      {right{qc, "get", "", "configmaps", "", theirs, ""}, false},
		"quota: keep its certificate":        {right{qc, "update", "", "secrets", "", ours, secret}, true},
		"quota: watch its certificate":       {right{qc, "watch", "", "secrets", "", ours, secret}, true},
		"quota: no other Secret":             {right{qc, "get", "", "secrets", "", ours, "token"}, false},
		"quota: no Secret elsewhere":         {right{qc, "get", "", "secrets", "", theirs, secret}, false},
		"quota: make its webhook":            {right{qc, "create", hooks, "validatingwebhookconfigurations", "", "", ""}, true},
		"quota: repair its webhook":          {right{qc, "update", hooks, "validatingwebhookconfigurations", "", "", "gpu-quota"}, true},
		"quota: touch no other webhook":      {right{qc, "delete", hooks, "validatingwebhookconfigurations", "", "", "others"}, false},
		"quota: take on nobody":              {right{qc, "impersonate", "", "serviceaccounts", "", theirs, "data"}, false},
		"quota: hold its lease":              {right{qc, "update", "coordination.k8s.io", "leases", "", ours, ""}, true},
		"viewer: no quotas by a RoleBinding": {right{"viewer", "list", quota, "gpuquotas", "", "", ""}, false},
		"admin: make no quota":               {right{"admin", "create", quota, "gpuquotas", "", "", ""}, false},
	}
}

// as returns a client that acts as a user of the test.
func as(t *testing.T, user string) kubernetes.Interface {
	t.Helper()
	config := cluster.Config()
	config.Impersonate.UserName = user
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// bindCluster gives a user a cluster role everywhere.
func bindCluster(t *testing.T, client kubernetes.Interface, user, role string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestNamespaceLabels: who may not update GPUQuotas does what he likes with a
// namespace but change the labels that quotas select by.
func TestNamespaceLabels(t *testing.T) {
	t.Parallel()
	installed(t, "")
	admin := as(t, "")
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "namespace-owner"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces", "namespaces/status", "namespaces/finalize"}, Verbs: []string{"*"}}},
	}
	if _, err := admin.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"owner", "platform"} {
		bindCluster(t, admin, user, "namespace-owner")
	}
	bindCluster(t, admin, "platform", "weir-gpuquota-editor")
	owner, platform := as(t, "owner"), as(t, "platform")

	namespace := func(name string, labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	create := func(client kubernetes.Interface, name string, labels map[string]string) error {
		_, err := client.CoreV1().Namespaces().Create(t.Context(), namespace(name, labels), metav1.CreateOptions{})
		return err
	}
	// The policy and the roles count a moment after they were written.
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := owner.CoreV1().Namespaces().Create(ctx, namespace("probe", map[string]string{"quota.weir.dev/team": "x"}), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		_, permitted := platform.CoreV1().Namespaces().Create(ctx, namespace("probe", map[string]string{"quota.weir.dev/team": "x"}), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "GPU budget") && permitted == nil, nil
	})
	if err != nil {
		t.Fatal("the policy does not hold: ", err)
	}
	if err := create(owner, "labels-none", nil); err != nil {
		t.Errorf("the owner creates a namespace without labels: %v", err)
	}
	if err := create(owner, "labels-other", map[string]string{"team": "x", "quota.weir.devs/team": "x"}); err != nil {
		t.Errorf("the owner creates a namespace with other labels: %v", err)
	}
	if err := create(platform, "labels-team", map[string]string{"quota.weir.dev/team": "x"}); err != nil {
		t.Errorf("the platform creates a namespace with a label: %v", err)
	}
	for name, tc := range map[string]struct {
		patch string
		owner bool
	}{
		"another label":          {`{"metadata":{"labels":{"team":"y"}}}`, true},
		"an annotation":          {`{"metadata":{"annotations":{"quota.weir.dev/team":"y"}}}`, true},
		"the same value":         {`{"metadata":{"labels":{"quota.weir.dev/team":"x"}}}`, true},
		"change the label":       {`{"metadata":{"labels":{"quota.weir.dev/team":"y"}}}`, false},
		"remove the label":       {`{"metadata":{"labels":{"quota.weir.dev/team":null}}}`, false},
		"remove all labels":      {`{"metadata":{"labels":null}}`, false},
		"add one":                {`{"metadata":{"labels":{"quota.weir.dev/tier":"gold"}}}`, false},
		"empty value, other key": {`{"metadata":{"labels":{"quota.weir.dev/tier":""}}}`, false},
	} {
		for _, subresource := range []string{"", "status"} {
			for client, allowed := range map[kubernetes.Interface]bool{owner: tc.owner, platform: true} {
				path := []string{}
				if subresource != "" {
					path = append(path, subresource)
				}
				_, err := client.CoreV1().Namespaces().Patch(t.Context(), "labels-team", types.MergePatchType, []byte(tc.patch), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, path...)
				if allowed != (err == nil) || err != nil && !apierrors.IsForbidden(err) {
					t.Errorf("%s %s: allowed %t, want %t: %v", name, subresource, err == nil, allowed, err)
				}
			}
		}
	}
}

// createNamespaces makes namespaces in which pods can be created.
func createNamespaces(t *testing.T, client kubernetes.Interface, namespaces map[string]map[string]string) {
	t.Helper()
	for name, labels := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		if _, err := client.CoreV1().ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}

// TestUnaskedGPUs checks the warnings about pods that reach GPUs without asking
// for them.
func TestUnaskedGPUs(t *testing.T) {
	t.Parallel()
	installed(t, "")
	admin := as(t, "")
	createNamespaces(t, admin, map[string]map[string]string{"governed": {"quota.weir.dev/team": "x"}, "ungoverned": nil})
	env := func(name, value string) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.Containers[0].Env = []corev1.EnvVar{{Name: name, Value: value}} }
	}
	hostPath := func(path string) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{
				{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}},
			}
		}
	}
	for name, tc := range map[string]struct {
		change  func(*corev1.PodSpec)
		warning string
	}{
		"nothing":          {func(*corev1.PodSpec) {}, ""},
		"all devices":      {env("NVIDIA_VISIBLE_DEVICES", "all"), "NVIDIA_VISIBLE_DEVICES"},
		"no devices":       {env("NVIDIA_VISIBLE_DEVICES", "void"), ""},
		"another variable": {env("OTHER", "all"), ""},
		"all devices, and it asks": {func(s *corev1.PodSpec) {
			env("NVIDIA_VISIBLE_DEVICES", "all")(s)
			s.Containers[0].Resources.Limits = corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
		}, ""},
		"from somewhere": {func(s *corev1.PodSpec) {
			s.Containers[0].Env = []corev1.EnvVar{{Name: "NVIDIA_VISIBLE_DEVICES", ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['gpus']"},
			}}}
		}, "NVIDIA_VISIBLE_DEVICES"},
		"in an init container": {func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{Name: "i", Image: "i", Env: []corev1.EnvVar{{Name: "NVIDIA_VISIBLE_DEVICES", Value: "0"}}}}
		}, "NVIDIA_VISIBLE_DEVICES"},
		"device files":     {hostPath("/dev/nvidia0"), "hostPath"},
		"all device files": {hostPath("/dev"), "hostPath"},
		"other files":      {hostPath("/var/log"), ""},
		"privileged": {func(s *corev1.PodSpec) {
			s.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		}, "privileged"},
		"not privileged": {func(s *corev1.PodSpec) { s.Containers[0].SecurityContext = &corev1.SecurityContext{} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for namespace, governed := range map[string]bool{"governed": true, "ungoverned": false} {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c"}}}}
				tc.change(&pod.Spec)
				want := tc.warning
				if !governed {
					want = ""
				}
				var got []string
				err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
					config := cluster.Config()
					s := &server{}
					config.WarningHandlerWithContext = s
					client, err := kubernetes.NewForConfig(config)
					if err != nil {
						return false, err
					}
					_, err = client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
					got = s.takeWarnings()
					return len(got) > 0 || want == "", err
				})
				if err != nil && !wait.Interrupted(err) {
					t.Fatal(err)
				}
				if (len(got) == 1) != (want != "") || want != "" && !strings.Contains(got[0], want) {
					t.Errorf("%s: warnings (-want +got):\n%s", namespace, cmp.Diff(want, strings.Join(got, "\n")))
				}
			}
		})
	}
}
