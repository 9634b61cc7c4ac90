// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/controller/kustomization"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/tenant"
	"github.com/weir-gitops/weir/pkg/watch"
)

// weirNamespace is where Weir is if nothing says otherwise.
const weirNamespace = "weir-system"

// newClusters returns the clusters that are applied to: this one, and those
// that Kustomizations name. Their addresses stand in objects that others write,
// so they are reached through the one dialer. The API server of this cluster is
// no secret to it: with a kubeconfig of their own, tenants could ask it
// themselves.
func newClusters(ctx context.Context, a *app.App, o *Options, waker *kustomization.Waker) (*cluster.Clusters, error) {
	watches, err := dynamic.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for watches: %w", err)
	}
	accounts, err := corev1client.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for tokens: %w", err)
	}
	mapper := a.Manager.GetRESTMapper()
	namespace := cmp.Or(o.Namespace, weirNamespace)
	configMaps := watches.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace)
	kinds := gate.NewKinds(ctx, configMaps, o.KindsConfig, a.Log.WithName("gate"))
	engine := func(ctx context.Context, watches dynamic.Interface, mapper meta.RESTMapper) *apply.Engine {
		return newEngine(ctx, a, o, waker, kinds, watches, mapper)
	}
	asker := func(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper) *gate.Client {
		return gate.NewClient(ctx, gate.Config{
			Client: client, Mapper: mapper, Namespace: namespace, Kind: kustomizev1.KustomizationKind, Wake: waker.Again, Log: a.Log.WithName("gate"),
		})
	}
	local := cluster.NewLocal(engine(ctx, watches, mapper), tenant.NewClients(a.Config, mapper, kustomizev1.FieldManager))
	local.Gate = asker(ctx, watches, mapper)
	return cluster.New(ctx, local, cluster.Config{
		Reader:         a.Manager.GetAPIReader(),
		Accounts:       accounts,
		DefaultAccount: o.DefaultKubeconfigServiceAccount,
		Insecure:       o.InsecureKubeconfig,
		Dial:           dial.New(dial.Policy{AllowLocal: o.AllowLocalSources}).DialContext,
		Limit:          func(config *rest.Config) { app.LimitInFlight(config, o.MaxInFlight) },
		Engine:         engine,
		Gate:           asker,
		Workers:        o.Concurrent,
		Manager:        kustomizev1.FieldManager,
		UserAgent:      a.Config.UserAgent,
		Wake:           waker.Wake,
	}), nil
}

// newEngine returns the engine of one cluster, whose watches end with ctx.
func newEngine(ctx context.Context, a *app.App, o *Options, waker *kustomization.Waker, kinds *gate.Kinds, watches dynamic.Interface, mapper meta.RESTMapper) *apply.Engine {
	return apply.NewEngine(ctx, apply.Config{
		Watch: watch.Config{
			Client: watches,
			Mapper: mapper,
			Labels: kustomization.Labels,
			Kinds:  kinds.Current,
			Managers: watch.Managers{
				Self:     kustomizev1.FieldManager,
				TakeOver: apply.TakeOver(kustomizev1.FieldManager, o.OverrideManagers...),
			},
			Log: a.Log.WithName("watch"),
		},
		Keys:        kustomization.Keys,
		Wake:        waker.Wake,
		Early:       o.CustomStageKinds,
		Concurrency: o.ConcurrentSSA,
	})
}
