// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	helper "github.com/fluxcd/pkg/runtime/controller"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/controller/helmrelease"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

const name = "helm-controller"

// shutdownMargin is what the rest of the process gets to end, besides actions.
const shutdownMargin = 30 * time.Second

// Scheme knows every kind that the controller handles as a Go type.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(sourcev1.AddToScheme(scheme))
	utilruntime.Must(helmv2.AddToScheme(scheme))
	return scheme
}

// Run runs the controller until ctx ends, and then until the actions under way
// have, for as long as the options give them. It keeps its lease until then.
func Run(ctx context.Context, o *Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	a, err := app.New(ctx, app.Settings{
		Name:       name,
		Scheme:     Scheme(),
		Owned:      []client.Object{&helmv2.HelmRelease{}},
		Finalizers: []string{helmv2.Finalizer},
		Config:     o.Config,
		Log:        o.Logger,
		Grace:      o.GracefulShutdown + shutdownMargin,
	}, &o.Options)
	if err != nil {
		return err
	}
	if !o.AcceptFluxCRDs && !app.AwaitSchema(ctx, a.Manager.GetAPIReader(), a.Log, helmrelease.CRDName, "v2", "spec", "weir") {
		return nil
	}
	helm.Guard()
	renderer := newRenderer(a.Log, o.Render)
	defer renderer.Close()
	waker := &helmrelease.Waker{}
	runner := helm.NewRunner(ctx, o.Concurrent, renderer, waker.Wake)
	// Actions that end after ctx go on hearing of their objects until then.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if err := setup(life, a, o, waker, runner, renderer); err != nil {
		return err
	}
	if err := a.Manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		runner.Drain(o.GracefulShutdown)
		return nil
	})); err != nil {
		return fmt.Errorf("set up the end of actions: %w", err)
	}
	return a.Run(ctx)
}

// setup puts the controller together.
func setup(ctx context.Context, a *app.App, o *Options, waker *helmrelease.Waker, runner *helm.Runner, renderer *helm.Renderer) error {
	cached := a.Manager.GetClient()
	clusters, err := newClusters(ctx, a, o, waker)
	if err != nil {
		return err
	}
	dialer := dial.New(dial.Policy{AllowLocal: o.AllowLocalSources, APIServer: dial.APIServer(ctx, a.Config.Host)})
	httpClient, err := dialer.HTTP(dial.Client{})
	if err != nil {
		return fmt.Errorf("make the client for charts: %w", err)
	}
	httpClient.Timeout = o.HTTPTimeout
	watched, err := metadata.NewForConfig(a.Config)
	if err != nil {
		return fmt.Errorf("make the client for metadata: %w", err)
	}
	c := &helmrelease.Controller{
		Client:   cached,
		Live:     a.Manager.GetAPIReader(),
		Store:    reconcile.NewStore(cached, a.Manager.GetAPIReader(), helmv2.StatusFieldManager),
		Clusters: clusters,
		Charts:   helm.NewCharts(o.ChartCacheSize, artifact.NewFetcher(httpClient, o.HTTPRetry, o.ChartMaxSize)),
		Runner:   runner,
		Renderer: renderer,
		Schemas:  httpClient,
		Events:   a.Events,
		Metrics:  a.Metrics,
		Leaving:  a.Leaving(&helmv2.HelmRelease{}),
		Options:  o.controller(),
	}
	if !o.Gates.Enabled(disableConfigWatchers) {
		c.References = watch.NewReferences(ctx, watched, waker.Wake, a.Log.WithName("references"), watch.LabelledBy(o.Watch.ConfigsLabelSelector))
	}
	c.Stores = &helmrelease.Stores{
		Local:  storage.New(ctx, storage.Options{Metadata: watched, Limit: o.ReleaseCacheSize, Changed: c.StorageChanged, Log: a.Log.WithName("storage")}),
		Remote: storage.New(ctx, storage.Options{Limit: o.ReleaseCacheSize, Log: a.Log.WithName("storage")}),
	}
	return c.SetupWithManager(ctx, a.Manager, waker, controller.TypedOptions[ctrl.Request]{
		RateLimiter: helper.GetRateLimiter(o.RateLimiter),
	})
}
