// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// TestRemoteAway stops the remote cluster and starts it again. Kustomizations
// of other clusters do not notice.
func TestRemoteAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*relay){"refuses": (*relay).close, "is silent": (*relay).fallSilent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			r, healthy := newRemote(s), newRemote(newSuite(t))
			s.access("value", r.kubeconfig(r.config()))
			healthy.access("value", healthy.kubeconfig(healthy.config()))
			files := func(value string) map[string]string { return map[string]string{"a.yaml": configMap("a", value)} }
			first := s.push(files("one"))
			names := []string{"app", "b", "c", "d", "e", "f"}
			for _, name := range names {
				s.create(name, onRemote)
				s.awaitReady(name, first)
			}
			healthy.push(files("one"))
			healthy.create("app", onRemote)
			healthy.create("local")

			away(r.relay)
			second := s.push(files("two"))
			start := time.Now()
			elsewhere := healthy.push(files("two"))
			healthy.awaitReady("local", elsewhere)
			healthy.awaitReady("app", elsewhere)
			t.Logf("others were ready after %s", time.Since(start).Round(time.Millisecond))
			message := s.awaitFailure("app", "ReconciliationFailed")
			if want := "the cluster at https://" + r.relay.address + " cannot be used: "; !strings.HasPrefix(message, want) {
				t.Errorf("message %q, want it to begin with %q", message, want)
			}
			t.Logf("%q after %s", message, time.Since(start).Round(time.Millisecond))

			r.relay.close()
			r.relay.open()
			for _, name := range names {
				s.awaitReady(name, second)
			}
			live := r.live("v1/ConfigMap", "a")
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"key":"by hand"}}`))
			s.must(r.kube.Patch(t.Context(), live, patch, client.FieldOwner("kubectl-edit")))
			s.eventually("drift is seen again", func() bool { return field(r.live("v1/ConfigMap", "a"), "data", "key") == "two" })
		})
	}
}

// TestRemoteRotatedSecret gives the access data another identity, and then one
// that is refused.
func TestRemoteRotatedSecret(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.access("value", r.kubeconfig(r.config()))
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one"), "b.yaml": configMap("b", "one")})
	s.create("app", onRemote)
	s.awaitReady("app", revision)
	s.must(r.kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "weir"}}))
	config, err := r.cluster.ServiceAccountConfig(t.Context(), s.ns, "weir")
	s.must(err)
	config.Host = r.config().Host
	s.access("value", r.kubeconfig(config))
	revision = s.push(map[string]string{"a.yaml": configMap("a", "two")})
	if message := s.awaitFailure("app", "ReconciliationFailed"); !strings.Contains(message, "system:serviceaccount:"+s.ns+":weir") {
		t.Errorf("message %q, want that the new identity may not", message)
	}
	r.bind("weir")
	s.awaitReady("app", revision)
	if r.live("v1/ConfigMap", "b") != nil {
		t.Error("b was not pruned: the cluster is the same, whoever applies")
	}

	config.BearerToken = "revoked"
	s.access("value", r.kubeconfig(config))
	s.request("app")
	if message := s.awaitFailure("app", "ReconciliationFailed"); !strings.Contains(message, "refuses the credentials") || strings.Contains(message, "revoked") {
		t.Errorf("message %q, want the credentials refused and not shown", message)
	}
	s.access("value", r.kubeconfig(r.config()))
	s.awaitReady("app", revision)
}

// TestRemoteMoved takes spec.kubeConfig away and brings it back.
func TestRemoteMoved(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.access("value", r.kubeconfig(r.config()))
	// Objects of the same name and labels, as another controller on the remote cluster might keep.
	decoy := newObject("v1/ConfigMap")
	decoy.SetNamespace(s.ns)
	decoy.SetName("b")
	decoy.SetLabels(map[string]string{kustomizev1.OwnerNameLabel: "app", kustomizev1.OwnerNamespaceLabel: s.ns})
	s.must(r.kube.Create(t.Context(), decoy))
	s.push(map[string]string{"a.yaml": configMap("a", "one"), "b.yaml": configMap("b", "one")})
	s.create("app")
	s.await("app", "is ready", func(k *kustomizev1.Kustomization) bool { return conditions.IsReady(k) })

	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true })
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.edit("app", func(k *kustomizev1.Kustomization) {
		onRemote(k)
		k.Spec.Suspend = false
	})
	s.awaitReady("app", revision)
	if r.live("v1/ConfigMap", "a") == nil || r.live("v1/ConfigMap", "b") == nil {
		t.Error("want a applied to the remote cluster, and the b there not pruned for the one here")
	}
	if s.live("v1/ConfigMap", "a") == nil || s.live("v1/ConfigMap", "b") == nil {
		t.Error("want what was applied here left here")
	}
	s.eventually("an event tells what is left", func() bool {
		return slicesContains(s.events("app"), "what was applied to this cluster is left there")
	})
	s.delete("app")
	if r.live("v1/ConfigMap", "a") != nil || s.live("v1/ConfigMap", "a") == nil {
		t.Error("want a deleted from the remote cluster, and only there")
	}
}

// TestRemoteDeletion finalizes without a way to the cluster.
func TestRemoteDeletion(t *testing.T) {
	t.Parallel()
	t.Run("no Secret", func(t *testing.T) {
		t.Parallel()
		s := newSuite(t)
		r := newRemote(s)
		s.access("value", r.kubeconfig(r.config()))
		revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
		s.create("app", onRemote)
		s.awaitReady("app", revision)
		s.must(kube.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "remote"}}))
		s.delete("app")
		if r.live("v1/ConfigMap", "a") == nil {
			t.Error("a is gone, although nobody had the access data")
		}
		s.eventually("an event tells what is left", func() bool { return slicesContains(s.events("app"), "are left in the cluster") })
	})
	t.Run("away for a while", func(t *testing.T) {
		t.Parallel()
		s := newSuite(t)
		r := newRemote(s)
		s.access("value", r.kubeconfig(r.config()))
		revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
		s.create("app", onRemote)
		s.awaitReady("app", revision)
		r.relay.close()
		s.must(kube.Delete(t.Context(), s.get("app")))
		s.eventually("an event tells why it stays", func() bool { return slicesContains(s.events("app"), "set spec.deletionPolicy to Orphan") })
		r.relay.open()
		s.delete("app")
		if r.live("v1/ConfigMap", "a") != nil {
			t.Error("a is still there")
		}
	})
}
