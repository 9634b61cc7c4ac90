// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/api/meta"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// other is a second cluster, which the tests of spec.kubeConfig share. It is
// started when the first of them asks for it, and ends with the process.
var other = sync.OnceValues(func() (*testkit.Cluster, error) {
	return testkit.StartCluster(context.Background(), testkit.WithGPUNodes(1))
})

// remote is the second cluster as one test sees it: behind a relay that the
// test can close, with a namespace of the test's name.
type remote struct {
	*suite
	cluster *testkit.Cluster
	kube    client.Client
	relay   *relay
}

func newRemote(s *suite) *remote {
	s.Helper()
	cluster, err := other()
	s.must(err)
	r := &remote{suite: s, cluster: cluster}
	r.kube, err = client.New(cluster.Config(), client.Options{Scheme: app.Scheme()})
	s.must(err)
	s.must(r.kube.Create(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	r.relay = newRelay(s.T, cluster.Config().Host)
	return r
}

// config reaches the cluster through the relay, as its administrator.
func (r *remote) config() *rest.Config {
	config := r.cluster.Config()
	config.Host = "https://" + r.relay.address
	return config
}

// kubeconfig is config as a file.
func (r *remote) kubeconfig(config *rest.Config) []byte {
	r.Helper()
	path := filepath.Join(r.TempDir(), "kubeconfig")
	r.must(testkit.WriteKubeconfig(config, path))
	data, err := os.ReadFile(path)
	r.must(err)
	return data
}

// access writes the Secret "remote", which spec.kubeConfig names.
func (s *suite) access(key string, kubeconfig []byte) {
	s.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "remote"}}
	err := kube.Get(s.Context(), client.ObjectKeyFromObject(secret), secret)
	exists := err == nil
	s.must(client.IgnoreNotFound(err))
	secret.Data = map[string][]byte{key: kubeconfig}
	if exists {
		s.must(kube.Update(s.Context(), secret))
	} else {
		s.must(kube.Create(s.Context(), secret))
	}
}

// onRemote makes a Kustomization apply to what the Secret "remote" names.
func onRemote(k *kustomizev1.Kustomization) {
	k.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "remote"}}
	k.Spec.RetryInterval = &metav1.Duration{Duration: retryAtOnce}
}

// live reads an object of the remote cluster, or returns nil.
func (r *remote) live(kind, name string) *unstructured.Unstructured {
	r.Helper()
	obj := newObject(kind)
	err := r.kube.Get(r.Context(), client.ObjectKey{Namespace: r.ns, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return nil
	}
	r.must(err)
	return obj
}

// bind lets a service account of the remote cluster do everything there that
// happens in the namespace.
func (r *remote) bind(account string) {
	r.Helper()
	r.must(r.kube.Create(r.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: r.ns, Name: account}},
	}))
}

// request asks for a reconcile.
func (s *suite) request(name string) {
	s.Helper()
	s.edit(name, func(k *kustomizev1.Kustomization) {
		k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: time.Now().String()}
	})
}

// relay passes connections on to a server, until it is closed.
type relay struct {
	*testing.T
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	silent   bool
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{T: t, target: u.Host, address: "127.0.0.1:0", conns: map[net.Conn]struct{}{}}
	r.open()
	t.Cleanup(r.close)
	return r
}

// open listens, at the same address as before.
func (r *relay) open() {
	r.Helper()
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		r.Fatal(err)
	}
	r.mu.Lock()
	r.listener, r.address, r.silent = listener, listener.Addr().String(), false
	r.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(conn)
		}
	}()
}

// close ends the listener and all connections.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for conn := range r.conns {
		_ = conn.Close()
	}
	clear(r.conns)
}

// fallSilent goes on to accept, and passes nothing on.
func (r *relay) fallSilent() {
	r.mu.Lock()
	r.silent = true
	r.mu.Unlock()
}

func (r *relay) pass(conn net.Conn) {
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	r.mu.Lock()
	r.conns[conn], r.conns[server] = struct{}{}, struct{}{}
	r.mu.Unlock()
	go r.copy(server, conn)
	r.copy(conn, server)
}

func (r *relay) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		silent := r.silent
		r.mu.Unlock()
		if silent {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
