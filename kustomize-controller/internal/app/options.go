// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app is kustomize-controller as a process: its flags, and how its
// parts are put together.
package app

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/kustomize-controller/internal/controller/kustomization"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/cluster"
)

// Options are the settings of kustomize-controller; flags and defaults are
// Flux's where Flux has them.
type Options struct {
	app.Options

	// Config overrides the kubeconfig of the environment, and Logger the
	// logger of the flags. Nil: as the environment and the flags say.
	Config *rest.Config
	Logger *logr.Logger

	ConcurrentSSA         int
	RequeueDependency     time.Duration
	NoRemoteBases         bool
	NoCrossNamespaceRefs  bool
	DefaultServiceAccount string
	OverrideManagers      []string
	CustomStageKinds      kinds
	AcceptFluxCRDs        bool
	AllowLocalSources     bool

	SOPSAgeSecret                   string
	SOPSVaultConfigMap              string
	DefaultDecryptionServiceAccount string

	InsecureKubeconfig              cluster.Insecure
	DefaultKubeconfigServiceAccount string

	// KindsConfig is the name of the ConfigMap with kinds of the users' own, in
	// the namespace of the controller.
	KindsConfig string

	HTTPRetry         int
	ArtifactPath      string
	ArtifactCacheSize int64
	ArtifactMaxSize   int64
	BuildCacheSize    int64
}

// Bind defines the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 4)
	o.Gates.Bind(fs, gates)
	o.Moot(fs, map[string]string{
		"token-cache-max-size":     "what needs a token of a cloud keeps it for itself, as long as it is valid",
		"token-cache-max-duration": "what needs a token of a cloud keeps it for itself, as long as it is valid",
	})
	fs.IntVar(&o.ConcurrentSSA, "concurrent-ssa", 4, "How many requests one Kustomization may have under way while it is applied.")
	fs.DurationVar(&o.RequeueDependency, "requeue-dependency", 30*time.Second, "When to look again at a source or dependency that is not ready; events come sooner.")
	fs.BoolVar(&o.NoRemoteBases, "no-remote-bases", false, "Refuse kustomizations that refer to bases outside their source.")
	fs.BoolVar(&o.NoCrossNamespaceRefs, "no-cross-namespace-refs", false, "Refuse references to objects in other namespaces.")
	fs.StringVar(&o.DefaultServiceAccount, "default-service-account", "", "The service account that acts for Kustomizations which name none.")
	fs.StringArrayVar(&o.OverrideManagers, "override-manager", nil, "A field manager whose fields are taken over; may be given more than once.")
	fs.Var(&o.CustomStageKinds, "custom-apply-stage-kinds", "Kinds, as group/Kind or Kind, that are written after definitions and classes and before everything else.")
	fs.BoolVar(&o.AcceptFluxCRDs, "accept-flux-crds", false, "Reconcile even if the live CRD is Flux's, which drops the fields that Weir adds.")
	fs.BoolVar(&o.AllowLocalSources, "allow-local-sources", false, "Allow artifacts from loopback addresses and from the API server's.")
	fs.BoolVar(&o.InsecureKubeconfig.Exec, "insecure-kubeconfig-exec", false, "Let kubeconfigs run a program in the controller's container for their credentials.")
	fs.BoolVar(&o.InsecureKubeconfig.TLS, "insecure-kubeconfig-tls", false, "Let kubeconfigs turn off the check of the server's certificate, or do without TLS.")
	fs.StringVar(&o.DefaultKubeconfigServiceAccount, "default-kubeconfig-service-account", "", "The service account whose token is used if the ConfigMap of spec.kubeConfig names none.")
	fs.StringVar(&o.SOPSAgeSecret, "sops-age-secret", "", "The Secret in the controller's namespace with the age keys for Kustomizations whose spec.decryption names no Secret.")
	fs.StringVar(&o.SOPSVaultConfigMap, "sops-vault-configmap", "", "The ConfigMap in the controller's namespace that lists the Vault and OpenBao servers to log in to with tokens of service accounts.")
	fs.StringVar(&o.DefaultDecryptionServiceAccount, "default-decryption-service-account", "", "The service account whose identity is shown to key services for Kustomizations which name none; without it the controller shows its own.")
	fs.StringVar(&o.KindsConfig, "kinds-config", "gpu-quota-kinds", "The ConfigMap in the controller's namespace that says where objects of further kinds have their GPUs. It need not exist.")
	fs.IntVar(&o.HTTPRetry, "http-retry", 9, "How often the download of an artifact is tried again.")
	fs.StringVar(&o.ArtifactPath, "artifact-path", os.TempDir(), "The directory for unpacked artifacts. It may be emptied at any time.")
	fs.Int64Var(&o.ArtifactCacheSize, "artifact-cache-size", 1<<30, "How many bytes of unpacked artifacts are kept.")
	fs.Int64Var(&o.ArtifactMaxSize, "artifact-max-size", 512<<20, "How many bytes one artifact may have, packed or unpacked.")
	fs.Int64Var(&o.BuildCacheSize, "build-cache-size", 64<<20, "How many bytes of built objects are kept in memory; negative keeps none.")
}

// controller are the settings of the controller of Kustomizations.
func (o *Options) controller() kustomization.Options {
	return kustomization.Options{
		Namespace:               o.Namespace,
		RequeueDependency:       o.RequeueDependency,
		NoCrossNamespaceRefs:    o.NoCrossNamespaceRefs,
		AdditiveDependencyCheck: o.Gates.Enabled(additiveCELDependencyCheck),
		DefaultServiceAccount:   o.DefaultServiceAccount,
		Decryption:              o.decryption(),
		DirectSourceFetch:       o.Gates.Enabled(directSourceFetch),
		ExternalArtifacts:       o.Gates.Enabled(externalArtifact),
		WatchConfigs:            !o.Gates.Enabled(disableConfigWatchers),
		DisableFailFast:         o.Gates.Enabled(disableFailFastBehavior),
		Jitter:                  o.Jittered(),
	}
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate()}
	if o.ConcurrentSSA < 1 {
		errs = append(errs, fmt.Errorf("--concurrent-ssa must be at least 1, got %d", o.ConcurrentSSA))
	}
	if o.HTTPRetry < 0 {
		errs = append(errs, fmt.Errorf("--http-retry must not be negative, got %d", o.HTTPRetry))
	}
	return errors.Join(errs...)
}
