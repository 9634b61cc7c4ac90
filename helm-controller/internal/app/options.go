// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app is helm-controller as a process: its flags, and how its parts are
// put together.
package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/helm-controller/internal/controller/helmrelease"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/cluster"
)

// Options are the settings of helm-controller; flags and defaults are Flux's
// where Flux has them.
type Options struct {
	app.Options

	// Config overrides the kubeconfig of the environment, and Logger the
	// logger of the flags. Nil: as the environment and the flags say.
	Config *rest.Config
	Logger *logr.Logger

	RequeueDependency     time.Duration
	GracefulShutdown      time.Duration
	NoCrossNamespaceRefs  bool
	DefaultServiceAccount string
	OverrideManagers      []string
	AcceptFluxCRDs        bool
	AllowLocalSources     bool

	InsecureKubeconfig              cluster.Insecure
	DefaultKubeconfigServiceAccount string

	// SnapshotDigest is the algorithm of the digests in status.history.
	SnapshotDigest string

	// KindsConfig is the name of the ConfigMap with kinds of the users' own, in
	// the namespace of the controller.
	KindsConfig string

	HTTPRetry        int
	HTTPTimeout      time.Duration
	ChartMaxSize     int64
	ChartCacheSize   int64
	ReleaseCacheSize int64

	// Render bounds the rendering of charts.
	Render helm.Limits
}

// Bind defines the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 4)
	o.Gates.Bind(fs, gates)
	o.Moot(fs, map[string]string{
		"token-cache-max-size":          "what needs a token of a cloud keeps it for itself, as long as it is valid",
		"token-cache-max-duration":      "what needs a token of a cloud keeps it for itself, as long as it is valid",
		"oom-watch-interval":            "what is kept in memory is bounded in bytes",
		"oom-watch-memory-threshold":    "what is kept in memory is bounded in bytes",
		"oom-watch-max-memory-path":     "what is kept in memory is bounded in bytes",
		"oom-watch-current-memory-path": "what is kept in memory is bounded in bytes",
	})
	fs.DurationVar(&o.RequeueDependency, "requeue-dependency", 30*time.Second, "When to look again at a source or dependency that is not ready; events come sooner.")
	fs.DurationVar(&o.GracefulShutdown, "graceful-shutdown-timeout", 10*time.Minute, "How long actions under way get to end when the controller stops.")
	fs.BoolVar(&o.NoCrossNamespaceRefs, "no-cross-namespace-refs", false, "Refuse references to objects in other namespaces.")
	fs.StringVar(&o.DefaultServiceAccount, "default-service-account", "", "The service account that acts for HelmReleases which name none.")
	fs.StringArrayVar(&o.OverrideManagers, "override-manager", nil, "A field manager whose fields are taken over; may be given more than once.")
	fs.BoolVar(&o.AcceptFluxCRDs, "accept-flux-crds", false, "Reconcile even if the live CRD is Flux's, which drops the fields that Weir adds.")
	fs.BoolVar(&o.AllowLocalSources, "allow-local-sources", false, "Allow charts from loopback addresses and from the API server's.")
	fs.BoolVar(&o.InsecureKubeconfig.Exec, "insecure-kubeconfig-exec", false, "Let kubeconfigs run a program in the controller's container for their credentials.")
	fs.BoolVar(&o.InsecureKubeconfig.TLS, "insecure-kubeconfig-tls", false, "Let kubeconfigs turn off the check of the server's certificate, or do without TLS.")
	fs.StringVar(&o.DefaultKubeconfigServiceAccount, "default-kubeconfig-service-account", "", "The service account whose token is used if the ConfigMap of spec.kubeConfig names none.")
	fs.StringVar(&o.SnapshotDigest, "snapshot-digest-algo", "sha256", "The algorithm of the digests in status.history. There is only sha256.")
	fs.StringVar(&o.KindsConfig, "kinds-config", "gpu-quota-kinds", "The ConfigMap in the controller's namespace that says where objects of further kinds have their GPUs. It need not exist.")
	fs.IntVar(&o.HTTPRetry, "http-retry", 9, "How often the download of a chart is tried again.")
	fs.DurationVar(&o.HTTPTimeout, "http-timeout", 30*time.Second, "How long one try to download a chart may take.")
	fs.Int64Var(&o.ChartMaxSize, "chart-max-size", 10<<20, "How many bytes a packed chart may have.")
	fs.Int64Var(&o.ChartCacheSize, "chart-cache-size", 32<<20, "How many bytes of unpacked charts are kept in memory.")
	limits := helm.DefaultLimits()
	fs.IntVar(&o.Render.Workers, "render-workers", limits.Workers, "How many charts are rendered at once, each in a process of its own.")
	fs.Int64Var(&o.Render.Memory, "render-memory-limit", limits.Memory, "How many bytes of memory rendering one chart may take.")
	fs.DurationVar(&o.Render.Timeout, "render-timeout", limits.Timeout, "How long rendering one chart may take, unless the timeout of its release is shorter.")
	fs.Int64Var(&o.Render.Output, "render-output-limit", limits.Output, "How many bytes a chart may render to, and the definitions in its directories crds have.")
	fs.Int64Var(&o.ReleaseCacheSize, "release-cache-size", 32<<20, "How many bytes of stored releases are kept in memory, compressed.")
}

// controller are the settings of the controller of HelmReleases.
func (o *Options) controller() helmrelease.Options {
	return helmrelease.Options{
		Namespace:               o.Namespace,
		RequeueDependency:       o.RequeueDependency,
		NoCrossNamespaceRefs:    o.NoCrossNamespaceRefs,
		AdditiveDependencyCheck: o.Gates.Enabled(additiveCELDependencyCheck),
		DefaultServiceAccount:   o.DefaultServiceAccount,
		DirectSourceFetch:       o.Gates.Enabled(directSourceFetch),
		ExternalArtifacts:       o.Gates.Enabled(externalArtifact),
		PlainVersions:           o.Gates.Enabled(disableChartDigestTracking),
		Helm3Defaults:           o.Gates.Enabled(useHelm3Defaults),
		FinishWaits:             !o.Gates.Enabled(cancelHealthCheckOnNewRevision),
		Policy: state.Policy{
			RetryOnFailure: o.Gates.Enabled(defaultToRetryOnFailure),
			MinRetry:       o.RateLimiter.MinRetryDelay,
			MaxRetry:       o.RateLimiter.MaxRetryDelay,
		},
		Jitter: o.Jittered(),
	}
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate(), o.Render.Validate()}
	if o.HTTPRetry < 0 {
		errs = append(errs, fmt.Errorf("--http-retry must not be negative, got %d", o.HTTPRetry))
	}
	if o.HTTPTimeout <= 0 {
		errs = append(errs, fmt.Errorf("--http-timeout must be more than 0, got %s", o.HTTPTimeout))
	}
	if o.SnapshotDigest != "sha256" {
		errs = append(errs, fmt.Errorf("--snapshot-digest-algo must be sha256, got %s", o.SnapshotDigest))
	}
	return errors.Join(errs...)
}
