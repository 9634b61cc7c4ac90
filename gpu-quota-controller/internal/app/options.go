// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app is gpu-quota-controller as a process: its flags, and how its
// parts are put together.
package app

import (
	"errors"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/app"
)

// Options are the settings of gpu-quota-controller.
type Options struct {
	app.Options

	Webhook WebhookOptions

	// Config overrides the kubeconfig of the environment, and Logger the
	// logger of the flags. Nil: as the environment and the flags say.
	Config *rest.Config
	Logger *logr.Logger
}

// Bind defines the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 4)
	o.Webhook.Bind(fs)
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	return errors.Join(o.Options.Validate(), o.Webhook.Validate())
}
