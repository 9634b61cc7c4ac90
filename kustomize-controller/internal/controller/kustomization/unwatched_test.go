// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWaitForUnwatched waits for what may not be watched, as in clusters that are
// locked down: nobody tells that it is healthy, so it has to be looked at before
// the timeout is over.
func TestWaitForUnwatched(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.must(r.kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	r.bind("tenant")
	config, err := r.cluster.ServiceAccountConfig(t.Context(), s.ns, "tenant")
	s.must(err)
	kubeconfig := r.config()
	kubeconfig.BearerToken = config.BearerToken
	kubeconfig.CertFile, kubeconfig.KeyFile, kubeconfig.CertData, kubeconfig.KeyData = "", "", nil, nil
	s.access("value", r.kubeconfig(kubeconfig))
	slow := strings.Replace(server, "spec:\n", "spec:\n  minReadySeconds: 3\n", 1)
	revision := s.push(map[string]string{"server.yaml": strings.ReplaceAll(slow, `nvidia.com/gpu: "1"`, `nvidia.com/gpu: "0"`)})
	s.create("app", onRemote, waitingFor(5*minimum))
	s.awaitReady("app", revision)
}
