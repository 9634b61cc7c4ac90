// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"net"

	helper "github.com/fluxcd/pkg/runtime/controller"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/leader"
	"github.com/weir-gitops/weir/source-controller/internal/server"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

const name = "source-controller"

// Scheme knows every kind that the controller handles as a Go type.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(sourcev1.AddToScheme(scheme))
	return scheme
}

// Run runs the controller until ctx ends.
func Run(ctx context.Context, o *Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	a, err := app.New(ctx, app.Settings{
		Name:       name,
		Scheme:     Scheme(),
		Owned:      []client.Object{&sourcev1.GitRepository{}, &sourcev1.OCIRepository{}, &sourcev1.HelmRepository{}, &sourcev1.HelmChart{}},
		Finalizers: []string{sourcev1.SourceFinalizer},
		Log:        o.Logger,
	}, &o.Options)
	if err != nil {
		return err
	}
	artifacts, err := setupStorage(a, o)
	if err != nil {
		return err
	}
	if err := setupLeader(ctx, a, o); err != nil {
		return err
	}
	p := &parts{app: a, options: o, artifacts: artifacts}
	p.dialer = dial.New(dial.Policy{AllowLocal: o.AllowLocalSources, APIServer: dial.APIServer(ctx, apiServers(a)...)})
	p.registry = oci.NewClient(oci.Options{Dialer: p.dialer, UserAgent: "weir-source-controller"})
	defer p.registry.Close()
	for _, setup := range []func(*parts) error{
		setupGitRepository,
		setupOCIRepository,
		func(p *parts) error { return setupHelm(ctx, p) },
		setupMirror,
	} {
		if err := setup(p); err != nil {
			return err
		}
	}
	return a.Run(ctx)
}

// parts are what the controllers of all kinds share.
type parts struct {
	app       *app.App
	options   *Options
	artifacts *storage.Storage
	dialer    *dial.Dialer
	registry  *oci.Client
}

// keeper keeps the artifacts of one kind.
func (p *parts) keeper(kind client.Object) artifact.Keeper {
	manager := p.app.Manager
	return artifact.Keeper{
		Client:  manager.GetAPIReader(),
		Store:   reconcile.NewStore(manager.GetClient(), manager.GetAPIReader(), name),
		Storage: p.artifacts,
		Events:  p.app.Events,
		Metrics: p.app.Metrics,
		Leaving: p.app.Leaving(kind),
		Jitter:  p.options.Jittered(),
		Slots:   artifact.NewSlots(p.options.Concurrent),
	}
}

// controllerOptions are those of every controller.
func (p *parts) controllerOptions() controller.Options {
	return controller.Options{RateLimiter: helper.GetRateLimiter(p.options.RateLimiter)}
}

// patientOptions are those of controllers whose objects take a slot to make an
// artifact: --concurrent counts the slots, and many more may wait for remotes.
func (p *parts) patientOptions() controller.Options {
	const patience = 16
	o := p.controllerOptions()
	o.MaxConcurrentReconciles = patience * p.options.Concurrent
	return o
}

// setupStorage opens the storage and serves it.
func setupStorage(a *app.App, o *Options) (*storage.Storage, error) {
	host, err := o.host()
	if err != nil {
		return nil, err
	}
	artifacts, err := storage.New(storage.Options{
		Path:             o.StoragePath,
		Host:             host,
		RetentionTTL:     o.RetentionTTL,
		RetentionRecords: o.RetentionRecords,
		Digest:           o.Digest,
		MaxSize:          o.ArtifactMaxSize,
	})
	if err != nil {
		return nil, fmt.Errorf("--storage-path or --artifact-digest-algo: %w", err)
	}
	if err := measure.Register(ctrlmetrics.Registry, storage.NewMetrics(o.StoragePath, o.StorageSizeLimit)); err != nil {
		return nil, err
	}
	return artifacts, a.Manager.Add(server.New(o.StorageAddr, artifacts, a.Log.WithName("artifacts"), nil))
}

// setupLeader marks the own pod while it leads, if there is one.
func setupLeader(ctx context.Context, a *app.App, o *Options) error {
	if o.Pod == "" || o.PodNamespace == "" {
		return nil
	}
	pod := types.NamespacedName{Namespace: o.PodNamespace, Name: o.Pod}
	marker := leader.NewMarker(a.Manager.GetClient(), a.Manager.GetAPIReader(), pod, a.LeaseName(), a.Log.WithName("leader"))
	if err := marker.Unmark(ctx); err != nil {
		return fmt.Errorf("take back the leader label of an earlier process: %w", err)
	}
	return a.Manager.Add(marker)
}

// apiServers are the addresses that the API server is known by: the one in
// use, and the one that every pod is told.
func apiServers(a *app.App) []string {
	hosts := []string{a.Config.Host}
	if host, port := env("KUBERNETES_SERVICE_HOST", ""), env("KUBERNETES_SERVICE_PORT", "443"); host != "" {
		hosts = append(hosts, net.JoinHostPort(host, port))
	}
	return hosts
}
