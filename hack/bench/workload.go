// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

const (
	// namespace of everything that is measured.
	namespace = "bench"
	// workers create, and of the bare client also apply, at a time.
	workers = 20
	// sharedSource is the source of all apps that share one.
	sharedSource = "apps"
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

// document is one object of an app, and where it goes.
type document struct {
	app      string
	yaml     string
	endpoint schema.GroupVersionResource
}

// documentsOf are the documents of one app, substituted.
func documentsOf(app string) []document {
	texts := strings.Split(strings.ReplaceAll(manifest, "${app}", app), "---\n")
	list := make([]document, len(texts))
	for i, text := range texts {
		list[i] = document{app, text, endpoints[i]}
	}
	return list
}

// kustomizationOf is the Kustomization of one app.
func kustomizationOf(app, source string) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app},
		Spec: kustomizev1.KustomizationSpec{
			Interval:           metav1.Duration{Duration: time.Hour},
			Timeout:            &metav1.Duration{Duration: 5 * time.Minute},
			Path:               "./app",
			Prune:              true,
			Wait:               true,
			ServiceAccountName: "tenant",
			SourceRef:          kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: source},
			PostBuild:          &kustomizev1.PostBuild{Substitute: map[string]string{"app": app}},
		},
	}
}

// prepare makes the namespace and the tenant that both sides act as.
func prepare(ctx context.Context, c client.Client) error {
	tenant := metav1.ObjectMeta{Namespace: namespace, Name: "tenant"}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{ObjectMeta: tenant},
		&rbacv1.RoleBinding{
			ObjectMeta: tenant,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "tenant"}},
		},
	} {
		if err := c.Create(ctx, obj); err != nil {
			return fmt.Errorf("create %T: %w", obj, err)
		}
	}
	return nil
}

// subject is an object that a controller makes ready.
type subject interface {
	client.Object
	conditions.Getter
}

// workload is subjects, the sources that they apply, and what a bare client has
// to apply in their place.
type workload struct {
	subjects []subject
	// list is empty, and of the subjects' kind.
	list    client.ObjectList
	publish func(ctx context.Context, c client.Client, s *store) error
	// documents of one subject.
	documents func(name string) []document
}

// shared is n apps that come from one artifact.
func shared(n int) workload {
	w := workload{
		list: &kustomizev1.KustomizationList{},
		publish: func(ctx context.Context, c client.Client, s *store) error {
			return s.publish(ctx, c, sharedSource, "app/app.yaml", manifest)
		},
		documents: documentsOf,
	}
	for i := range n {
		w.subjects = append(w.subjects, kustomizationOf(appName(i), sharedSource))
	}
	return w
}

// distinct is n apps of which each has an artifact of its own.
func distinct(n int) workload {
	w := shared(0)
	for i := range n {
		w.subjects = append(w.subjects, kustomizationOf(appName(i), appName(i)))
	}
	w.publish = func(ctx context.Context, c client.Client, s *store) error {
		for _, k := range w.subjects {
			if err := s.publish(ctx, c, k.GetName(), "app/app.yaml", "# "+k.GetName()+"\n"+manifest); err != nil {
				return err
			}
		}
		return nil
	}
	return w
}

// large is one Kustomization that has all the objects of n apps.
func large(n int) workload {
	k := kustomizationOf("large", "large")
	k.Spec.PostBuild = nil
	apps := make([]string, n)
	for i := range apps {
		apps[i] = strings.ReplaceAll(manifest, "${app}", appName(i))
	}
	return workload{
		subjects: []subject{k},
		list:     &kustomizev1.KustomizationList{},
		publish: func(ctx context.Context, c client.Client, s *store) error {
			return s.publish(ctx, c, "large", "app/apps.yaml", strings.Join(apps, "---\n"))
		},
		documents: func(string) []document {
			var all []document
			for i := range n {
				all = append(all, documentsOf(appName(i))...)
			}
			return all
		},
	}
}
