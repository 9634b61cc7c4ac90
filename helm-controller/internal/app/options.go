// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app is helm-controller as a process: its flags, and how its parts are
// put together.
package app

import (
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/app"
)

// Options are the settings of helm-controller; flags and defaults are Flux's
// where Flux has them.
type Options struct {
	app.Options

	// Config overrides the kubeconfig of the environment, and Logger the
	// logger of the flags. Nil: as the environment and the flags say.
	Config *rest.Config
	Logger *logr.Logger
}

// Bind defines the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 4)
}
