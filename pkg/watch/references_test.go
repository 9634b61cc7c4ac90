// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/watch"
)

// woken counts who was woken.
type woken struct {
	mu    sync.Mutex
	times map[string]int
}

func (w *woken) wake(user types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times[user.Name]++
}

func (w *woken) of(user string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times[user]
}

func user(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "users", Name: name}
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// shelf is a namespace with objects to refer to.
type shelf struct {
	clients   kubernetes.Interface
	namespace string
}

func newShelf(t *testing.T, clients kubernetes.Interface) *shelf {
	t.Helper()
	namespace, err := clients.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shelf-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{clients: clients, namespace: namespace.Name}
}

// set writes a Secret and returns its version.
func (s *shelf) set(t *testing.T, name, value string) string {
	t.Helper()
	secrets := s.clients.CoreV1().Secrets(s.namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"v": value}}
	written, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{})
	if err != nil {
		written, err = secrets.Update(t.Context(), secret, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return watch.VersionOf(written)
}

func (s *shelf) secret(name, version string) watch.Reference {
	return watch.Reference{Kind: "Secret", Namespace: s.namespace, Name: name, Version: version}
}

func newReferences(t *testing.T, config *rest.Config) (*watch.References, *woken) {
	t.Helper()
	client, err := metadata.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &woken{times: map[string]int{}}
	return watch.NewReferences(t.Context(), client, w.wake, logr.Discard()), w
}

func TestReferences(t *testing.T) {
	t.Parallel()
	cluster, err := testkit.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	clients, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("wake", func(t *testing.T) { checkWake(t, cluster.Config(), newShelf(t, clients)) })
	t.Run("read before", func(t *testing.T) { checkReadBefore(t, cluster.Config(), newShelf(t, clients)) })
	t.Run("config maps", func(t *testing.T) { checkConfigMaps(t, cluster.Config(), newShelf(t, clients)) })
	t.Run("refused", func(t *testing.T) { checkRefused(t, cluster, newShelf(t, clients)) })
}

// Only what is referred to wakes, and only as long as it is.
func checkWake(t *testing.T, config *rest.Config, s *shelf) {
	t.Helper()
	references, w := newReferences(t, config)
	read := s.set(t, "values", "1")
	s.set(t, "other", "1")
	for _, name := range []string{"a", "b"} {
		if got := references.Follow(user(name), []watch.Reference{s.secret("values", read)}); got != watch.Watched {
			t.Errorf("got %s", got)
		}
	}
	// Waits for the watch: what is made before it begins is no news.
	references.Follow(user("probe"), []watch.Reference{s.secret("probe", "")})
	poll(t, "the watch has begun", func() bool { s.set(t, "probe", time.Now().String()); return w.of("probe") > 0 })
	if got := w.of("a") + w.of("b"); got != 0 {
		t.Errorf("woken %d times by nothing", got)
	}

	s.set(t, "other", "2")
	read = s.set(t, "values", "2")
	poll(t, "both are woken", func() bool { return w.of("a") == 1 && w.of("b") == 1 })
	references.Follow(user("a"), []watch.Reference{s.secret("other", ""), s.secret("values", read)})
	references.Forget(user("b"))
	s.set(t, "values", "3")
	s.set(t, "other", "3")
	poll(t, "one is woken twice", func() bool { return w.of("a") == 3 })
	if err := s.clients.CoreV1().Secrets(s.namespace).Delete(t.Context(), "values", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	poll(t, "it is woken by a deletion", func() bool { return w.of("a") == 4 })
	if got := w.of("b"); got != 1 {
		t.Errorf("one that has left was woken %d times", got)
	}
	references.Forget(user("a"))
	if got := references.Watching(); got != 1 {
		t.Errorf("%d watches with one user", got)
	}
	references.Follow(user("probe"), nil)
	if got := references.Watching(); got != 0 {
		t.Errorf("%d watches without users", got)
	}
}

// What has changed between a read and the watch wakes, once.
func checkReadBefore(t *testing.T, config *rest.Config, s *shelf) {
	t.Helper()
	references, w := newReferences(t, config)
	old := s.set(t, "values", "1")
	read := s.set(t, "values", "2")
	references.Follow(user("late"), []watch.Reference{s.secret("values", old)})
	poll(t, "it is woken for the first list", func() bool { return w.of("late") == 1 })
	references.Follow(user("late"), []watch.Reference{s.secret("values", read)})
	references.Follow(user("second"), []watch.Reference{s.secret("values", old)})
	poll(t, "another is woken for what is known", func() bool { return w.of("second") == 1 })
	references.Follow(user("second"), []watch.Reference{s.secret("values", old)})
	references.Follow(user("second"), []watch.Reference{s.secret("values", read)})
	if got, again := w.of("late"), w.of("second"); got != 1 || again != 1 {
		t.Errorf("woken %d and %d times, want once", got, again)
	}
	references.Follow(user("gone"), []watch.Reference{s.secret("never", "uid/1")})
	if got := w.of("gone"); got != 1 {
		t.Errorf("woken %d times for what is gone, want once", got)
	}
}

func checkConfigMaps(t *testing.T, config *rest.Config, s *shelf) {
	t.Helper()
	references, w := newReferences(t, config)
	references.Follow(user("a"), []watch.Reference{{Kind: "ConfigMap", Namespace: s.namespace, Name: "values"}})
	maps := s.clients.CoreV1().ConfigMaps(s.namespace)
	poll(t, "it is woken", func() bool {
		_, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "values"}}, metav1.CreateOptions{})
		if err != nil {
			err = maps.Delete(t.Context(), "values", metav1.DeleteOptions{})
		}
		return err == nil && w.of("a") > 0
	})
}

// Without permission the user is told so, by being woken.
func checkRefused(t *testing.T, cluster *testkit.Cluster, s *shelf) {
	t.Helper()
	ctx := t.Context()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "blind"}}
	if _, err := s.clients.CoreV1().ServiceAccounts(s.namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "maps"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}}},
	}
	if _, err := s.clients.RbacV1().Roles(s.namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "maps"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "maps"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "blind", Namespace: s.namespace}},
	}
	if _, err := s.clients.RbacV1().RoleBindings(s.namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config, err := cluster.ServiceAccountConfig(ctx, s.namespace, "blind")
	if err != nil {
		t.Fatal(err)
	}
	references, w := newReferences(t, config)
	allowed := watch.Reference{Kind: "ConfigMap", Namespace: s.namespace, Name: "values"}
	references.Follow(user("a"), []watch.Reference{allowed, s.secret("values", "")})
	references.Follow(user("b"), []watch.Reference{allowed})
	poll(t, "it is woken to hear that", func() bool { return w.of("a") > 0 })
	if got := references.Follow(user("a"), []watch.Reference{allowed, s.secret("values", "")}); got != watch.Interval {
		t.Errorf("got %s", got)
	}
	if got := references.Follow(user("b"), []watch.Reference{allowed}); got != watch.Watched || w.of("b") != 0 {
		t.Errorf("got %s, woken %d times", got, w.of("b"))
	}
}
