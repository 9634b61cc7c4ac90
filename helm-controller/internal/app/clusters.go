// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/controller/helmrelease"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/tenant"
	"github.com/weir-gitops/weir/pkg/watch"
)

const (
	// weirNamespace is where Weir is if nothing says otherwise.
	weirNamespace = "weir-system"
	// concurrency is how many requests one release may have under way while its
	// drift is looked into.
	concurrency = 4
)

// clusters makes what serves one cluster.
type clusters struct {
	app       *app.App
	options   *Options
	waker     *helmrelease.Waker
	namespace string
	kinds     *gate.Kinds
}

// newClusters returns the clusters that are released to: this one, and those that
// HelmReleases name, which are reached through the one dialer. The API server of
// this cluster is no secret to it: with a kubeconfig of their own, tenants could
// ask it themselves.
func newClusters(ctx context.Context, a *app.App, o *Options, waker *helmrelease.Waker) (*cluster.Clusters, error) {
	watches, err := dynamic.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for watches: %w", err)
	}
	accounts, err := corev1client.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for tokens: %w", err)
	}
	mapper := a.Manager.GetRESTMapper()
	m := &clusters{app: a, options: o, waker: waker, namespace: cmp.Or(o.Namespace, weirNamespace)}
	configMaps := watches.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(m.namespace)
	m.kinds = gate.NewKinds(ctx, configMaps, o.KindsConfig, a.Log.WithName("gate"))
	local := cluster.NewLocal(m.engine(ctx, watches, mapper), tenant.NewClients(a.Config, mapper, helmv2.FieldManager))
	local.Gate = m.gate(ctx, watches, mapper)
	return cluster.New(ctx, local, cluster.Config{
		Reader:         a.Manager.GetAPIReader(),
		Accounts:       accounts,
		DefaultAccount: o.DefaultKubeconfigServiceAccount,
		Insecure:       o.InsecureKubeconfig,
		Dial:           dial.New(dial.Policy{AllowLocal: o.AllowLocalSources}).DialContext,
		Limit:          func(config *rest.Config) { app.LimitInFlight(config, o.MaxInFlight) },
		Engine:         m.engine,
		Gate:           m.gate,
		Workers:        o.Concurrent,
		Manager:        helmv2.FieldManager,
		UserAgent:      a.Config.UserAgent,
		Wake:           waker.After,
	}), nil
}

// gate returns what asks for devices on a cluster.
func (m *clusters) gate(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper) *gate.Client {
	return gate.NewClient(ctx, gate.Config{
		Client: client, Mapper: mapper, Namespace: m.namespace, Kind: helmv2.HelmReleaseKind, Wake: m.waker.Again, Log: m.app.Log.WithName("gate"),
	})
}

// engine returns what watches a cluster, until ctx ends.
func (m *clusters) engine(ctx context.Context, watches dynamic.Interface, mapper meta.RESTMapper) *apply.Engine {
	managers := kube.Managers()
	for _, name := range m.options.OverrideManagers {
		for _, operation := range []metav1.ManagedFieldsOperationType{metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate} {
			managers.TakeOver = append(managers.TakeOver, watch.Manager{Prefix: name, Operation: operation})
		}
	}
	return apply.NewEngine(ctx, apply.Config{
		Watch: watch.Config{
			Client:   watches,
			Mapper:   mapper,
			Labels:   kube.Labels(),
			Kinds:    m.kinds.Current,
			Managers: managers,
			Log:      m.app.Log.WithName("watch"),
		},
		Keys:        kube.Keys(),
		Wake:        m.waker.After,
		Concurrency: concurrency,
	})
}
