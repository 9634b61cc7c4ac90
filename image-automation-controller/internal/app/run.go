// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/app"
)

const name = "image-automation-controller"

// Scheme knows every kind that the controller handles as a Go type.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(sourcev1.AddToScheme(scheme))
	utilruntime.Must(imagev1.AddToScheme(scheme))
	return scheme
}

// Run runs the controller until ctx ends.
func Run(ctx context.Context, o *Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	a, err := app.New(app.Settings{
		Name:       name,
		Scheme:     Scheme(),
		Owned:      []client.Object{&imagev1.ImageUpdateAutomation{}, &imagev1.ImageRepository{}, &imagev1.ImagePolicy{}},
		Finalizers: []string{imagev1.Finalizer},
		Config:     o.Config,
		Log:        o.Logger,
	}, &o.Options)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
