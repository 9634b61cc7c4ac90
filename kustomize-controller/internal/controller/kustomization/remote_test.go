// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/api/meta"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

const retryAtOnce = time.Second

func TestRemoteCluster(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.access("value", r.kubeconfig(r.config()))
	first := s.push(map[string]string{"a.yaml": configMap("a", "${from}"), "b.yaml": configMap("b", "one")})
	s.must(kube.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "vars"}, Data: map[string]string{"from": "local"},
	}))
	s.create("app", onRemote, func(k *kustomizev1.Kustomization) {
		k.Spec.Wait = true
		k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "ConfigMap", Name: "vars"}}}
	})
	obj := s.awaitReady("app", first)
	if got, want := obj.Status.Weir.Cluster, "https://"+r.relay.address; got != want {
		t.Errorf("status.weir.cluster is %q, want %q", got, want)
	}
	if got := field(r.live("v1/ConfigMap", "a"), "data", "key"); got != "local" {
		t.Errorf("a on the remote cluster has %q, want the value of the local variable", got)
	}
	if s.live("v1/ConfigMap", "a") != nil {
		t.Error("a was applied to the local cluster")
	}

	live := r.live("v1/ConfigMap", "a")
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"key":"by hand"}}`))
	s.must(r.kube.Patch(t.Context(), live, patch, client.FieldOwner("kubectl-edit")))
	start := time.Now()
	s.eventually("the change on the remote cluster is put back", func() bool {
		return field(r.live("v1/ConfigMap", "a"), "data", "key") == "local"
	})
	t.Logf("put back after %s", time.Since(start).Round(time.Millisecond))

	second := s.push(map[string]string{"a.yaml": configMap("a", "two")})
	s.awaitReady("app", second)
	if r.live("v1/ConfigMap", "b") != nil {
		t.Error("b was not pruned on the remote cluster")
	}
	s.delete("app")
	if r.live("v1/ConfigMap", "a") != nil {
		t.Error("a is still on the remote cluster after the Kustomization was deleted")
	}
}

// TestRemoteHealth waits for a Job that completes on the remote cluster.
func TestRemoteHealth(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.access("value.yaml", r.kubeconfig(r.config()))
	revision := s.push(map[string]string{"a.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, namespace: $NS}\n" +
		"spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n"})
	s.create("app", onRemote, func(k *kustomizev1.Kustomization) { k.Spec.Wait = true })
	obj := s.awaitReady("app", revision)
	if field(r.live("batch/v1/Job", "a"), "status", "completionTime") == "" {
		t.Error("ready before the Job was done")
	}
	if got := len(obj.Status.Weir.CompletedJobs); got != 1 {
		t.Errorf("%d completed Jobs are recorded, want 1", got)
	}
}

func TestRemoteImpersonation(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.access("value", r.kubeconfig(r.config()))
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", onRemote, func(k *kustomizev1.Kustomization) { k.Spec.ServiceAccountName = "tenant" })
	message := s.awaitFailure("app", "ReconciliationFailed")
	if !strings.Contains(message, "Forbidden") || !strings.Contains(message, "system:serviceaccount:"+s.ns+":tenant") {
		t.Errorf("message %q, want that the tenant may not", message)
	}
	s.must(r.kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	r.bind("tenant")
	s.awaitReady("app", revision)
}

func TestRemoteAccessRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*rest.Config)
		edit   func(string) string
		want   string
	}{
		"wrong CA":         {func(c *rest.Config) { c.CAData = cluster.Config().CAData }, nil, "x509"},
		"wrong token":      {func(c *rest.Config) { c.CertData, c.KeyData, c.BearerToken = nil, nil, "nonsense" }, nil, "refuses the credentials"},
		"nobody there":     {func(c *rest.Config) { c.Host = "https://127.0.0.1:1" }, nil, "the cluster at https://127.0.0.1:1 cannot be used: connect to 127.0.0.1:1: connect: connection refused"},
		"metadata service": {func(c *rest.Config) { c.Host = "https://169.254.169.254" }, nil, "never permitted"},
		"exec plugin": {nil, func(file string) string {
			return strings.Replace(file, "- name: weir\n  user:", "- name: weir\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/true, interactiveMode: Never}", 1)
		}, "--insecure-kubeconfig-exec"},
		"no TLS check": {func(c *rest.Config) { c.CAData, c.Insecure = nil, true }, nil, "--insecure-kubeconfig-tls"},
		"file":         {func(c *rest.Config) { c.CAData, c.CAFile = nil, "/etc/passwd" }, nil, "certificate-authority-data"},
		"junk":         {nil, func(string) string { return "token: {secret" }, "it is not a kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			r := newRemote(s)
			config := r.config()
			if tc.change != nil {
				tc.change(config)
			}
			file := string(r.kubeconfig(config))
			if tc.edit != nil {
				file = tc.edit(file)
			}
			s.access("value", []byte(file))
			revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
			s.create("app", onRemote)
			message := s.awaitFailure("app", "ReconciliationFailed")
			if !strings.Contains(message, tc.want) || strings.Contains(message, "nonsense") || strings.Contains(message, "passwd") {
				t.Errorf("message %q, want %q in it, and nothing of the content", message, tc.want)
			}
			s.access("value", r.kubeconfig(r.config()))
			s.awaitReady("app", revision)
		})
	}
}

func messageOf(k *kustomizev1.Kustomization, condition string) string {
	for _, c := range k.Status.Conditions {
		if c.Type == condition {
			return c.Message
		}
	}
	return ""
}

// TestTokenOfLocalAccount takes the local cluster as one that trusts the tokens
// of the local cluster, which it does.
func TestTokenOfLocalAccount(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.must(kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	config := cluster.Config()
	description := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "remote"}, Data: map[string]string{
		"provider": "generic", "address": config.Host, "ca.crt": string(config.CAData), "serviceAccountName": "tenant",
	}}
	s.must(kube.Create(t.Context(), description))
	s.create("app", onRemote, func(k *kustomizev1.Kustomization) {
		k.Spec.KubeConfig = &meta.KubeConfigReference{ConfigMapRef: &meta.LocalObjectReference{Name: "remote"}}
	})
	// The audience is the address unless it is set, and the API server has another one.
	if message := s.awaitFailure("app", "ReconciliationFailed"); !strings.Contains(message, "refuses the credentials") {
		t.Errorf("message %q, want the credentials refused", message)
	}
	description.Data["audiences"] = "https://kubernetes.default.svc.cluster.local\nhttps://kubernetes.default.svc"
	s.must(kube.Update(t.Context(), description))
	s.eventually("the account is known and may do nothing", func() bool {
		return strings.Contains(messageOf(s.get("app"), "Ready"), "system:serviceaccount:"+s.ns+":tenant")
	})
	s.allow("tenant")
	s.awaitReady("app", revision)

	description.Data["provider"] = "aws"
	s.must(kube.Update(t.Context(), description))
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Interval.Duration = 2 * time.Hour })
	if message := s.awaitFailure("app", kustomizev1.UnsupportedFieldReason); !strings.Contains(message, "aws") {
		t.Errorf("message %q, want the provider named", message)
	}
	description.Data["provider"] = "generic"
	s.must(kube.Update(t.Context(), description))
}
