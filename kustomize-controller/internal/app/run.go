// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"os"

	helper "github.com/fluxcd/pkg/runtime/controller"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
	"github.com/weir-gitops/weir/kustomize-controller/internal/controller/kustomization"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const name = "kustomize-controller"

// BuildWorker is the argument that makes the program do one build and end.
const BuildWorker = "build-worker"

// Scheme knows every kind that the controller handles as a Go type.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(sourcev1.AddToScheme(scheme))
	utilruntime.Must(kustomizev1.AddToScheme(scheme))
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
		Owned:      []client.Object{&kustomizev1.Kustomization{}},
		Finalizers: []string{kustomizev1.Finalizer},
		Config:     o.Config,
		Log:        o.Logger,
	}, &o.Options)
	if err != nil {
		return err
	}
	if !o.AcceptFluxCRDs && !app.AwaitSchema(ctx, a.Manager.GetAPIReader(), a.Log, kustomization.CRDName, "v1", "spec", "weir") {
		return nil
	}
	if err := setup(ctx, a, o); err != nil {
		return err
	}
	return a.Run(ctx)
}

// setup puts the controller together.
func setup(ctx context.Context, a *app.App, o *Options) error {
	cached := a.Manager.GetClient()
	artifacts, err := newArtifacts(ctx, a, o)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, for its build workers: %w", err)
	}
	waker := &kustomization.Waker{}
	clusters, err := newClusters(ctx, a, o, waker)
	if err != nil {
		return err
	}
	lookout, err := newLookout(ctx, a, waker)
	if err != nil {
		return err
	}
	c := &kustomization.Controller{
		Client:     cached,
		Live:       a.Manager.GetAPIReader(),
		Store:      reconcile.NewStore(cached, a.Manager.GetAPIReader(), kustomizev1.StatusFieldManager),
		Clusters:   clusters,
		Lookout:    lookout,
		Artifacts:  artifacts,
		Builder:    build.New(build.Options{NoRemoteBases: o.NoRemoteBases, LenientSubstitution: !o.Gates.Enabled(strictPostBuildSubstitutions), CacheBytes: o.BuildCacheSize, Worker: []string{program, BuildWorker}}),
		Decryption: newDecryption(ctx, a, o),
		Events:     a.Events,
		Metrics:    a.Metrics,
		Leaving:    a.Leaving(&kustomizev1.Kustomization{}),
		Options:    o.controller(),
	}
	return c.SetupWithManager(ctx, a.Manager, waker, controller.TypedOptions[ctrl.Request]{
		RateLimiter: helper.GetRateLimiter(o.RateLimiter),
	})
}

// newArtifacts returns the cache of artifacts, which come through the one
// dialer: their URLs stand in objects that others write.
func newArtifacts(ctx context.Context, a *app.App, o *Options) (*artifact.Cache, error) {
	dialer := dial.New(dial.Policy{AllowLocal: o.AllowLocalSources, APIServer: dial.APIServer(ctx, a.Config.Host)})
	httpClient, err := dialer.HTTP(dial.Client{})
	if err != nil {
		return nil, fmt.Errorf("make the client for artifacts: %w", err)
	}
	return artifact.NewCache(o.ArtifactPath, o.ArtifactCacheSize, artifact.NewFetcher(httpClient, o.HTTPRetry, o.ArtifactMaxSize))
}
