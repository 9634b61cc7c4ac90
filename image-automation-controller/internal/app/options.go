// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app is image-automation-controller as a process: its flags, and how
// its parts are put together.
package app

import (
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/app"
)

// Options are the settings of image-automation-controller; flags and defaults
// are Flux's where Flux has them.
type Options struct {
	app.Options

	StoragePath                string
	GitCacheSize               int64
	GitMaxTransfer             int64
	SSHKexAlgos                []string
	SSHHostKeyAlgos            []string
	NoCrossNamespaceRefs       bool
	AllowLocalSources          bool
	AllowControllerCredentials bool
	ForgeHosts                 []string
	RegistryRate               int
	AcceptFluxCRDs             bool

	// Config overrides the kubeconfig of the environment, and Logger the
	// logger of the flags. Nil: as the environment and the flags say.
	Config *rest.Config
	Logger *logr.Logger
}

// gates are those of Flux's image-automation-controller and
// image-reflector-controller.
var gates = map[string]app.Gate{
	"CacheSecretsAndConfigMaps":   {Fixed: "the memory would hold every Secret of the cluster; what a spec names is read at each run"},
	"ObjectLevelWorkloadIdentity": {Fixed: "identities of clouds are not built yet"},
	"GitForcePushBranch":          {Default: true, Fixed: "a branch that is pushed to and not checked out is always made anew"},
	"GitShallowClone":             {Default: true, Moot: "no more of a repository is fetched than a run looks at"},
	"GitAllBranchReferences":      {Default: true, Moot: "only the branches that a run names are asked for"},
	"GitSparseCheckout":           {Moot: "nothing is checked out; files are read from Git's objects"},
	"FluxStorage":                 {Moot: "tags are kept in a format of its own, and scanned again if they are lost"},
}

// Bind defines the flags. Environment: DOCKER_CONFIG is the directory of the
// controller's own docker config.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 4)
	o.Gates.Bind(fs, gates)
	const noDatabase = "tags are kept in files, which are shrunk to what is in use"
	o.Moot(fs, map[string]string{
		"requeue-dependency":            "who waits for an ImageRepository is woken by it",
		"gc-interval":                   noDatabase,
		"storage-value-log-file-size":   noDatabase,
		"storage-compression-threshold": noDatabase,
		"token-cache-max-size":          "identities of clouds are not built yet",
		"token-cache-max-duration":      "identities of clouds are not built yet",
		"default-service-account":       "identities of clouds are not built yet",
	})
	fs.StringVar(&o.StoragePath, "storage-path", "/data", "The directory for tags and Git objects. It may be emptied at any time.")
	fs.Int64Var(&o.GitCacheSize, "git-cache-size", 2<<30, "How many bytes of Git objects are kept.")
	fs.Int64Var(&o.GitMaxTransfer, "git-max-transfer-size", 1<<30, "How many bytes one fetch from a Git server may transfer.")
	fs.StringSliceVar(&o.SSHKexAlgos, "ssh-kex-algos", nil, "The key exchange algorithms to offer in SSH, instead of Go's defaults.")
	fs.StringSliceVar(&o.SSHHostKeyAlgos, "ssh-hostkey-algos", nil, "The host key algorithms to accept in SSH, instead of those that known_hosts implies.")
	fs.BoolVar(&o.NoCrossNamespaceRefs, "no-cross-namespace-refs", false, "Refuse references to objects of other namespaces.")
	fs.BoolVar(&o.AllowLocalSources, "allow-local-sources", false, "Allow registries, Git servers and forges at loopback addresses and at the API server's.")
	fs.BoolVar(&o.AllowControllerCredentials, "allow-controller-credentials", false, "Ask registries with the controller's own credentials where an object names none. Whoever may create objects can then scan what only the controller may see.")
	fs.BoolVar(&o.AcceptFluxCRDs, "accept-flux-crds", false, "Reconcile even if the live CRD is Flux's, which drops the fields that Weir adds.")
	fs.IntVar(&o.RegistryRate, "registry-rate", 100, "How many requests in a second are sent to one registry with one credential; twice as many at once.")
	fs.StringSliceVar(&o.ForgeHosts, "forge-hosts", nil, "Hosts of forges' APIs that tokens may be sent to, beside the host of the Git repository.")
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate()}
	for flag, value := range map[string]int64{
		"--git-cache-size":        o.GitCacheSize,
		"--git-max-transfer-size": o.GitMaxTransfer,
		"--registry-rate":         int64(o.RegistryRate),
	} {
		if value < 1 {
			errs = append(errs, fmt.Errorf("%s must be at least 1, got %d", flag, value))
		}
	}
	return errors.Join(errs...)
}
