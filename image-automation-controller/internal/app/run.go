// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/controller/imageupdateautomation"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/oci"
)

const name = "image-automation-controller"

// Scheme knows every kind that the controller handles as a Go type.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(sourcev1.AddToScheme(scheme))
	utilruntime.Must(imagev1.AddToScheme(scheme))
	return scheme
}

// Run runs the controller until ctx ends.
func Run(ctx context.Context, o *Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	a, err := app.New(ctx, app.Settings{
		Name:       name,
		Replaces:   []string{"image-reflector-controller"},
		Scheme:     Scheme(),
		Owned:      []client.Object{&imagev1.ImageUpdateAutomation{}, &imagev1.ImageRepository{}, &imagev1.ImagePolicy{}},
		Finalizers: []string{imagev1.Finalizer},
		Config:     o.Config,
		Log:        o.Logger,
	}, &o.Options)
	if err != nil {
		return err
	}
	if !o.AcceptFluxCRDs && !app.AwaitSchema(ctx, a.Manager.GetAPIReader(), a.Log, imageupdateautomation.CRDName, "v1", "spec", "weir") {
		return nil
	}
	if err := setup(ctx, a, o); err != nil {
		return err
	}
	return a.Run(ctx)
}

// shared is what controllers of several kinds use.
type shared struct {
	dialer   *dial.Dialer
	registry *oci.Client
	scanner  *scan.Scanner
}

// setup puts the controllers together.
func setup(ctx context.Context, a *app.App, o *Options) error {
	parts := &shared{dialer: dial.New(dial.Policy{AllowLocal: o.AllowLocalSources, APIServer: dial.APIServer(ctx, apiServers(a)...)})}
	parts.registry = oci.NewClient(oci.Options{
		Dialer: parts.dialer, Rate: o.RegistryRate, Burst: 2 * o.RegistryRate, UserAgent: "weir-image-automation",
	})
	parts.scanner = scan.New(scan.Options{
		Client: parts.registry, Dir: filepath.Join(o.StoragePath, "tags"), Log: a.Log.WithName("scan"),
		MinRetry: o.RateLimiter.MinRetryDelay, MaxRetry: o.RateLimiter.MaxRetryDelay,
	})
	if err := a.Manager.Add(parts.scanner); err != nil {
		return fmt.Errorf("add the scanner of registries: %w", err)
	}
	if err := setupImageRepository(a, o, parts); err != nil {
		return err
	}
	if err := setupImagePolicy(ctx, a, o, parts); err != nil {
		return err
	}
	return setupAutomation(ctx, a, o, parts)
}

// apiServers are the addresses that the API server is known by: the one in
// use, and the one that every pod is told.
func apiServers(a *app.App) []string {
	hosts := []string{a.Config.Host}
	if host := os.Getenv("KUBERNETES_SERVICE_HOST"); host != "" {
		hosts = append(hosts, net.JoinHostPort(host, cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT"), "443")))
	}
	return hosts
}
