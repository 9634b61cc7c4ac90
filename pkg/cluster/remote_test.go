// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/watch"
)

// rig is a set of clusters with an API server that knows its version and
// nothing else.
type rig struct {
	*testing.T
	*Clusters
	server *httptest.Server
	// revoked has the server refuse all credentials.
	revoked atomic.Bool

	mu      sync.Mutex
	secrets map[types.NamespacedName][]byte
	err     error
	engines []context.Context // the lives of what was made
	woken   chan types.NamespacedName
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, secrets: map[types.NamespacedName][]byte{}, woken: make(chan types.NamespacedName, 100)}
	r.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.revoked.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if req.URL.Path != "/version" {
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(r.server.Close)
	dialer := &net.Dialer{}
	r.Clusters = New(t.Context(), NewLocal(r.engine(t.Context(), nil, nil), nil), Config{
		Reader: r,
		Dial:   dialer.DialContext,
		Limit:  func(*rest.Config) {},
		Engine: r.engine,
		Wake:   r.wake,
	})
	return r
}

func (r *rig) engine(ctx context.Context, _ dynamic.Interface, mapper apimeta.RESTMapper) *apply.Engine {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.engines = append(r.engines, ctx)
	if mapper == nil {
		mapper = apimeta.NewDefaultRESTMapper(nil)
	}
	return apply.NewEngine(ctx, apply.Config{Watch: watch.Config{Mapper: mapper}, Concurrency: 1, Wake: r.wake})
}

func (r *rig) wake(owner types.NamespacedName, _ time.Duration) { r.woken <- owner }

// Get reads a Secret.
func (r *rig) Get(_ context.Context, key types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	secret, ok := obj.(*corev1.Secret)
	data, found := r.secrets[key]
	switch {
	case r.err != nil:
		return r.err
	case !ok || !found:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	secret.Data = map[string][]byte{"value": data}
	return nil
}

// List is not used.
func (r *rig) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nothing is ever listed")
}

// secret writes a kubeconfig with a token.
func (r *rig) secret(namespace, token string) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	file := kubeconfigOf(`{server: "`+r.server.URL+`", certificate-authority-data: `+base64.StdEncoding.EncodeToString(ca)+`}`, `{token: `+token+`}`)
	r.mu.Lock()
	r.secrets[types.NamespacedName{Namespace: namespace, Name: "remote"}] = file
	r.mu.Unlock()
}

// use has a Kustomization use the Secret "remote" of its namespace.
func (r *rig) use(namespace, name string) (*Cluster, error) {
	user := User{UID: types.UID(namespace + name), Owner: types.NamespacedName{Namespace: namespace, Name: name}}
	return r.Use(r.Context(), user, &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "remote"}})
}

func (r *rig) mustUse(namespace, name string) *Cluster {
	r.Helper()
	got, err := r.use(namespace, name)
	if err != nil {
		r.Fatal(err)
	}
	if err := got.Await(r.Context()); err != nil {
		r.Fatal(err)
	}
	return got
}

func TestClustersAreSharedAndStopped(t *testing.T) {
	r := newRig(t)
	r.secret("ml", "one")
	r.secret("web", "one")
	first := r.mustUse("ml", "a")
	if again := r.mustUse("ml", "a"); again != first {
		t.Error("the same user has another cluster")
	}
	if shared := r.mustUse("web", "b"); shared != first {
		t.Error("equal access data are two clusters")
	}
	r.secret("ml", "two")
	second := r.mustUse("ml", "a")
	if second == first || second.Name != first.Name || second.Key() == first.Key() {
		t.Errorf("after the rotation %s (%s), want another one at the same address", second.Name, second.Key())
	}
	if r.engines[1].Err() != nil {
		t.Error("the cluster was stopped while it had a user")
	}
	if err := r.Gone(t.Context(), types.NamespacedName{Namespace: "web", Name: "b"}); err != nil {
		t.Fatal(err)
	}
	if r.engines[1].Err() == nil {
		t.Error("the cluster runs on without a user")
	}
	if _, err := r.Use(t.Context(), User{UID: "mla", Owner: types.NamespacedName{Namespace: "ml", Name: "a"}}, nil); err != nil {
		t.Fatal(err)
	}
	if r.engines[2].Err() == nil || r.engines[0].Err() != nil || len(r.byKey) != 0 {
		t.Error("want the remote cluster stopped, and the local one not")
	}
	if err := r.Leave(t.Context(), "mla"); err != nil || len(r.inUse) != 0 || len(r.counts) != 0 {
		t.Errorf("left over: %v, %v (error %v)", r.inUse, r.counts, err)
	}
}

func TestAccessDataGoAway(t *testing.T) {
	r := newRig(t)
	if _, err := r.use("ml", "a"); !errors.Is(err, ErrMissing) {
		t.Errorf("error %v, want %v", err, ErrMissing)
	}
	r.secret("ml", "one")
	cluster := r.mustUse("ml", "a")
	r.err = errors.New("the API server is away")
	if _, err := r.use("ml", "a"); err == nil || r.engines[1].Err() != nil {
		t.Errorf("error %v; want one, and the cluster kept", err)
	}
	r.err = nil
	r.secrets[types.NamespacedName{Namespace: "ml", Name: "remote"}] = []byte("junk")
	if _, err := r.use("ml", "a"); err == nil || !strings.Contains(err.Error(), "not a kubeconfig") || r.engines[1].Err() == nil {
		t.Errorf("error %v; want one, and the cluster %s given up", err, cluster.Name)
	}
}

func TestUsersAreWoken(t *testing.T) {
	r := newRig(t)
	r.secret("ml", "one")
	cluster := r.mustUse("ml", "a")
	expect := func(what string) {
		t.Helper()
		select {
		case owner := <-r.woken:
			if owner.Name != "a" {
				t.Errorf("woke %s", owner)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("nobody was woken when the cluster %s", what)
		}
	}
	expect("came")
	r.revoked.Store(true)
	cluster.link.doubt()
	expect("refused the credentials")
	if err := cluster.Await(t.Context()); !errors.Is(err, errUnauthorized) {
		t.Errorf("error %v, want %v", err, errUnauthorized)
	}
}
