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
	"k8s.io/utils/clock"

	"github.com/weir-gitops/weir/pkg/app"
)

// Options are the settings of gpu-quota-controller.
type Options struct {
	app.Options

	Webhook WebhookOptions

	// KindsConfig is the name of the ConfigMap with kinds of the users' own, in
	// the namespace of the controller.
	KindsConfig string

	// Config overrides the kubeconfig of the environment, and Logger the
	// logger of the flags. Nil: as the environment and the flags say.
	Config *rest.Config
	Logger *logr.Logger
	// Clock measures how long slots, grants and reservations last. Nil: the
	// real one.
	Clock clock.Clock
}

// Bind defines the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 4)
	o.Webhook.Bind(fs)
	fs.StringVar(&o.KindsConfig, "kinds-config", "gpu-quota-kinds", "The ConfigMap in the controller's namespace that says where objects of further kinds have their GPUs. It need not exist.")
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate(), o.Webhook.Validate()}
	if o.Namespace == "" {
		errs = append(errs, errors.New("--runtime-namespace is empty: the ledgers are kept there"))
	}
	if o.Watch.LabelSelector != "" {
		errs = append(errs, errors.New("--watch-label-selector cannot be set: a tree of quotas is not divided among controllers"))
	}
	if !o.Watch.AllNamespaces {
		errs = append(errs, errors.New("--watch-all-namespaces cannot be false: a tree of quotas spans the cluster"))
	}
	return errors.Join(errs...)
}
