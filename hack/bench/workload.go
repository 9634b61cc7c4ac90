// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

const (
	// namespace of everything that is measured.
	namespace = "bench"
	// workers create, and of the bare client also apply, at a time.
	workers = 20
	// objectsPerApp is how many objects the manifest of an app has.
	objectsPerApp = 4
)

// manifest is one app of the published benchmark of Flux.
const manifest = `apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${app}
  namespace: bench
---
apiVersion: v1
kind: Service
metadata:
  name: ${app}
  namespace: bench
spec:
  selector:
    app: ${app}
  ports:
  - name: http
    port: 80
    targetPort: http
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${app}
  namespace: bench
spec:
  replicas: 0
  selector:
    matchLabels:
      app: ${app}
  template:
    metadata:
      labels:
        app: ${app}
    spec:
      serviceAccountName: ${app}
      containers:
      - name: app
        image: registry.example/app:1.0.0
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: MODE
          value: fast
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: ${app}
  namespace: bench
spec:
  rules:
  - host: ${app}.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: ${app}
            port:
              name: http
`

func appName(i int) string { return fmt.Sprintf("app-%04d", i) }

// manifestsOf are the documents of one app, substituted.
func manifestsOf(app string) []string {
	return strings.Split(strings.ReplaceAll(manifest, "${app}", app), "---\n")
}

// kustomizationOf is the Kustomization of one app.
func kustomizationOf(app string) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app},
		Spec: kustomizev1.KustomizationSpec{
			Interval:           metav1.Duration{Duration: time.Hour},
			Timeout:            &metav1.Duration{Duration: 5 * time.Minute},
			Path:               "./app",
			Prune:              true,
			Wait:               true,
			ServiceAccountName: "tenant",
			SourceRef:          kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "apps"},
			PostBuild:          &kustomizev1.PostBuild{Substitute: map[string]string{"app": app}},
		},
	}
}

// prepare makes the namespace, the tenant that both sides act as, and the
// source whose artifact the returned server has.
func prepare(ctx context.Context, c client.Client) (*httptest.Server, error) {
	tenant := metav1.ObjectMeta{Namespace: namespace, Name: "tenant"}
	source := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "apps"},
		Spec:       sourcev1.GitRepositorySpec{URL: "https://git.example/apps", Interval: metav1.Duration{Duration: time.Hour}},
	}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{ObjectMeta: tenant},
		&rbacv1.RoleBinding{
			ObjectMeta: tenant,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "tenant"}},
		},
		source,
	} {
		if err := c.Create(ctx, obj); err != nil {
			return nil, fmt.Errorf("create %T: %w", obj, err)
		}
	}
	body, err := pack("app/app.yaml", manifest)
	if err != nil {
		return nil, fmt.Errorf("pack the artifact: %w", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	source.Status.Artifact = &fluxmeta.Artifact{
		URL: server.URL + "/apps.tar.gz", Path: "apps.tar.gz", Revision: "main@sha1:" + digest[:40], Digest: "sha256:" + digest, LastUpdateTime: metav1.Now(),
	}
	if err := c.Status().Update(ctx, source); err != nil {
		server.Close()
		return nil, fmt.Errorf("publish the artifact: %w", err)
	}
	return server, nil
}

// pack makes a tar.gz of one file.
func pack(name, content string) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = archive.Write([]byte(content))
	}
	err = errors.Join(err, archive.Close(), zip.Close())
	return buf.Bytes(), err
}
