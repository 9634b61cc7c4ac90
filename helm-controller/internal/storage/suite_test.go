// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const deadline = 60 * time.Second

var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}

// rig is a namespace, and a store that counts its requests.
type rig struct {
	admin     kubernetes.Interface
	config    *rest.Config
	client    dynamic.Interface
	store     *storage.Store
	namespace string
	requests  *atomic.Int64 // all but those for watches
}

// must returns a value, or ends the test.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func newRig(t *testing.T, adjust ...func(*storage.Options)) *rig {
	t.Helper()
	r := &rig{config: cluster.Config(), requests: &atomic.Int64{}}
	r.admin = must(kubernetes.NewForConfig(cluster.Config()))(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "records-"}}
	r.namespace = must(r.admin.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}))(t).Name
	r.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(req *http.Request) (*http.Response, error) {
			if !testkit.IsWatch(req) {
				r.requests.Add(1)
			}
			return next.RoundTrip(req)
		})
	})
	r.client = must(dynamic.NewForConfig(r.config))(t)
	r.store = r.newStore(t, adjust...)
	return r
}

// newStore returns a store that has read nothing. Its watch does not count.
func (r *rig) newStore(t *testing.T, adjust ...func(*storage.Options)) *storage.Store {
	t.Helper()
	options := storage.Options{Metadata: must(metadata.NewForConfig(cluster.Config()))(t), Log: logr.Discard()}
	for _, a := range adjust {
		a(&options)
	}
	return storage.New(t.Context(), options)
}

// records are those of the namespace, for one action.
func (r *rig) records(t *testing.T) *storage.Records {
	t.Helper()
	return r.store.For(t.Context(), r.client, r.namespace)
}

// account makes a service account with verbs on Secrets of the rig's namespace
// and returns its configuration.
func (r *rig) account(t *testing.T, name string, verbs ...string) *rest.Config {
	t.Helper()
	ctx := t.Context()
	must(r.admin.CoreV1().ServiceAccounts(r.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))(t)
	if len(verbs) > 0 {
		r.grant(t, name, verbs...)
	}
	return must(cluster.ServiceAccountConfig(ctx, r.namespace, name))(t)
}

// grant lets a service account do something with the Secrets of the namespace.
func (r *rig) grant(t *testing.T, name string, verbs ...string) {
	t.Helper()
	ctx := t.Context()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}},
	}
	must(r.admin.RbacV1().Roles(r.namespace).Create(ctx, role, metav1.CreateOptions{}))(t)
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: r.namespace}},
	}
	must(r.admin.RbacV1().RoleBindings(r.namespace).Create(ctx, binding, metav1.CreateOptions{}))(t)
}

// secret is a record as it is in the cluster.
func (r *rig) secret(t *testing.T, key string) *corev1.Secret {
	t.Helper()
	return must(r.admin.CoreV1().Secrets(r.namespace).Get(t.Context(), key, metav1.GetOptions{}))(t)
}

// edit changes a Secret as somebody else would.
func (r *rig) edit(t *testing.T, key string, change func(*corev1.Secret)) {
	t.Helper()
	secret := r.secret(t, key)
	change(secret)
	must(r.admin.CoreV1().Secrets(r.namespace).Update(t.Context(), secret, metav1.UpdateOptions{}))(t)
}

// settled waits until a watch tells of the namespace.
func (r *rig) settled(t *testing.T, name string) {
	t.Helper()
	eventually(t, func() string {
		history(t, r.records(t), name)
		before := r.requests.Load()
		history(t, r.records(t), name)
		if r.requests.Load() == before {
			return ""
		}
		return "the records are still read each time"
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// eventually polls until there is nothing to complain of.
func eventually(t *testing.T, complaint func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		said := complaint()
		if said == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func history(t *testing.T, records *storage.Records, name string) []*storage.Record {
	t.Helper()
	return must(records.History(name))(t)
}

// fluxSecrets returns what Flux has stored.
func fluxSecrets(t *testing.T, state string) []corev1.Secret {
	t.Helper()
	var list corev1.SecretList
	data := must(os.ReadFile(filepath.Join("..", "release", "testdata", state+"-secrets.json")))(t)
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// document is a small release.
func document(name string, version int, status string, more ...string) []byte {
	text, _ := json.Marshal(map[string]any{
		"name": name, "version": version, "namespace": "shops",
		"info":     map[string]any{"status": status, "first_deployed": "2026-01-02T03:04:05Z", "deleted": "", "description": "made"},
		"chart":    map[string]any{"metadata": map[string]any{"name": "shop", "version": "1.0.0"}, "templates": []any{}},
		"manifest": strings.Join(more, "\n"),
	})
	return text
}
