// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestMainSharesCluster looks at a cluster as the tests of a package do that
// have it from Main.
func TestMainSharesCluster(t *testing.T) {
	t.Parallel()
	var cluster *testkit.Cluster
	tests := runner(func() int {
		t.Run("nodes", func(t *testing.T) { checkNodes(t, cluster) })
		t.Run("service account", func(t *testing.T) { checkServiceAccount(t, cluster) })
		t.Run("kubeconfig", func(t *testing.T) { checkKubeconfig(t, cluster) })
		t.Run("restore", func(t *testing.T) { checkRestore(t, cluster) })
		return 3
	})
	code := testkit.Main(tests, func(c *testkit.Cluster) { cluster = c }, testkit.WithGPUNodes(1))
	if code != 3 {
		t.Errorf("Main returned %d, want the code of the tests, 3", code)
	}
	if _, err := os.Stat(cluster.Kubeconfig()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the kubeconfig is still there after Main: %v", err)
	}
	if err := cluster.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "no such cluster") {
		t.Errorf("second Stop returned %v, want an error that there is no such cluster", err)
	}
}

func checkNodes(t *testing.T, cluster *testkit.Cluster) {
	nodes, err := newClient(t, cluster.Config()).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, node := range nodes.Items {
		gpus := node.Status.Allocatable["nvidia.com/gpu"]
		got[node.Name] = gpus.String() + " " + node.Labels["nvidia.com/gpu.product"]
	}
	want := map[string]string{"gpu-0": "8 NVIDIA-H100-80GB-HBM3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

func checkServiceAccount(t *testing.T, cluster *testkit.Cluster) {
	ctx := t.Context()
	admin := newClient(t, cluster.Config())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader", Namespace: "default"}}
	if _, err := admin.CoreV1().ServiceAccounts("default").Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config, err := cluster.ServiceAccountConfig(ctx, "default", "reader")
	if err != nil {
		t.Fatal(err)
	}
	reader := newClient(t, config)
	if _, err := reader.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("listing without a role returned %v, want Forbidden", err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader", Namespace: "default"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "reader", Namespace: "default"}},
	}
	if _, err := admin.RbacV1().RoleBindings("default").Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := reader.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := cluster.ServiceAccountConfig(ctx, "default", "nobody"); !apierrors.IsNotFound(err) {
		t.Errorf("token for an account that does not exist: %v, want NotFound", err)
	}
}

func checkKubeconfig(t *testing.T, cluster *testkit.Cluster) {
	account, err := cluster.ServiceAccountConfig(t.Context(), "default", "reader")
	if err != nil {
		t.Fatal(err)
	}
	admin := cluster.Config()
	admin.Impersonate = rest.ImpersonationConfig{UserName: "jane", Groups: []string{"team-a"}}
	users := map[string]struct {
		config *rest.Config
		want   string
	}{
		"token":        {account, "system:serviceaccount:default:reader"},
		"certificate":  {cluster.Config(), "weir:admin"},
		"impersonated": {admin, "jane"},
	}
	for name, user := range users {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := testkit.WriteKubeconfig(user.config, path); err != nil {
				t.Fatal(err)
			}
			config, err := clientcmd.BuildConfigFromFlags("", path)
			if err != nil {
				t.Fatal(err)
			}
			if got := whoAmI(t, config); got != user.want {
				t.Errorf("the user of the kubeconfig is %q, want %q", got, user.want)
			}
		})
	}
}

func checkRestore(t *testing.T, cluster *testkit.Cluster) {
	ctx := t.Context()
	account, err := cluster.ServiceAccountConfig(ctx, "default", "reader")
	if err != nil {
		t.Fatal(err)
	}
	configMaps := newClient(t, cluster.Config()).CoreV1().ConfigMaps("default")
	create := func(name string) {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := configMaps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create("before")
	file := filepath.Join(t.TempDir(), "snapshot")
	if err := cluster.Snapshot(ctx, file); err != nil {
		t.Fatal(err)
	}
	create("after")
	if err := cluster.Restore(ctx, file); err != nil {
		t.Fatal(err)
	}
	if _, err := configMaps.Get(ctx, "before", metav1.GetOptions{}); err != nil {
		t.Errorf("object from before the snapshot: %v", err)
	}
	if _, err := configMaps.Get(ctx, "after", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("object from after the snapshot: %v, want NotFound", err)
	}
	if got, want := whoAmI(t, account), "system:serviceaccount:default:reader"; got != want {
		t.Errorf("a token from before the restore is %q's, want %q", got, want)
	}
	if err := os.WriteFile(file, []byte("not a snapshot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Restore(ctx, file); err == nil || !strings.Contains(err.Error(), "not a usable snapshot") {
		t.Errorf("restore of junk returned %v, want an error that it is not a usable snapshot", err)
	}
	if _, err := configMaps.Get(ctx, "before", metav1.GetOptions{}); err != nil {
		t.Errorf("after a refused restore: %v", err)
	}
}

func TestStartClusterInterrupted(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	interrupted := errors.New("interrupted by the test")
	steps := writerFunc(func(p []byte) {
		if strings.Contains(string(p), "etcd") {
			cancel(interrupted)
		}
	})
	cluster, err := testkit.StartCluster(ctx, testkit.WithClusterProgress(steps))
	if !errors.Is(err, interrupted) {
		t.Errorf("StartCluster returned %v, want the cause of its context's end", err)
	}
	if cluster != nil {
		t.Error("StartCluster returned a cluster as well as an error")
	}
	// The go command may have files of its own there until it is gone.
	left, err := filepath.Glob(filepath.Join(temp, "weir-cluster-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (error %v)", left, err)
	}
}

// TestEnterWithoutNode runs nothing on the machine itself by mistake.
func TestEnterWithoutNode(t *testing.T) {
	t.Parallel()
	if err := new(testkit.Cluster).Enter(t.Context(), "true").Run(); err == nil {
		t.Error("a command was run in a cluster that has no namespaces")
	}
}

type runner func() int

func (r runner) Run() int { return r() }

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func newClient(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// whoAmI returns the name by which the API server knows the bearer of config.
func whoAmI(t *testing.T, config *rest.Config) string {
	t.Helper()
	reviews := newClient(t, config).AuthenticationV1().SelfSubjectReviews()
	review, err := reviews.Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo.Username
}

// eventually repeats check until it returns nil, for 10 s at most.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-ticker.C
	}
}
