// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"path/filepath"

	helper "github.com/fluxcd/pkg/runtime/controller"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/controller/imagerepository"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// setupImageRepository adds the controller of ImageRepositories.
func setupImageRepository(a *app.App, o *Options, parts *shared) error {
	c := &imagerepository.Controller{
		Store:   reconcile.NewStore(a.Manager.GetClient(), a.Manager.GetAPIReader(), imagev1.FieldManager),
		Targets: targets(a, o),
		Scanner: parts.scanner,
		Events:  a.Events,
		Metrics: a.Metrics,
		Waker:   &reconcile.Waker{},
		Leaving: a.Leaving(&imagev1.ImageRepository{}),
	}
	return c.SetupWithManager(a.Manager, controller.TypedOptions[ctrl.Request]{RateLimiter: helper.GetRateLimiter(o.RateLimiter)})
}

// targets reads Secrets and service accounts live.
func targets(a *app.App, o *Options) scan.Targets {
	t := scan.Targets{Client: a.Manager.GetAPIReader()}
	if o.AllowControllerCredentials {
		t.OwnConfig = dockerConfig()
	}
	return t
}

// dockerConfig is the directory of the docker config of this process.
func dockerConfig() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}
