// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app is source-controller as a process: its flags, and how its parts
// are put together.
package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/weir-gitops/weir/pkg/app"
)

// objectsDir is where objects of Git are kept, below the storage path. The
// file server finds nothing in directories that begin with a dot.
const objectsDir = ".git-objects"

// Options are the settings of source-controller; flags, environment and
// defaults are Flux's where Flux has them.
type Options struct {
	app.Options

	StoragePath       string
	StorageSizeLimit  int64
	StorageAddr       string
	StorageAdvAddr    string
	RetentionTTL      time.Duration
	RetentionRecords  int
	Digest            string
	ArtifactMaxSize   int64
	GitCachePath      string
	GitCacheSize      int64
	GitMaxTransfer    int64
	SSHKexAlgos       []string
	SSHHostKeyAlgos   []string
	AllowLocalSources bool
	// Mirror: with leader election, a replica that does not lead copies the
	// artifacts of the one that does.
	Mirror bool
	// DefaultServiceAccount is the one whose image pull secrets are used for
	// OCIRepositories that name neither a Secret nor a service account.
	DefaultServiceAccount string
	// Helm is what concerns HelmRepositories and HelmCharts.
	Helm HelmOptions
	// RequeueDependency is when to look again for a source without artifact.
	RequeueDependency time.Duration
	// Pod is the name of the pod that this process runs in, and empty
	// elsewhere.
	Pod, PodNamespace string
	// Logger overrides the one that the flags describe and that is global to
	// the process, for processes with more than one controller.
	Logger *logr.Logger
}

// gates are those of Flux's source-controller.
var gates = map[string]app.Gate{
	"CacheSecretsAndConfigMaps":   {Fixed: "the memory would hold every Secret of the cluster; what a spec names is read at each reconcile"},
	"ObjectLevelWorkloadIdentity": {Fixed: "identities of clouds are not built yet"},
}

// Bind defines the flags. Environment: STORAGE_PATH, STORAGE_ADDRESS and
// STORAGE_ADV_ADDR set defaults; POD_NAME and POD_NAMESPACE name the own pod.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Options.Bind(fs, 2)
	o.Gates.Bind(fs, gates)
	fs.StringVar(&o.StoragePath, "storage-path", env("STORAGE_PATH", "/data"), "The directory for artifacts. It may be emptied at any time.")
	fs.Int64Var(&o.StorageSizeLimit, "storage-size-limit", 0, "How many bytes the volume of --storage-path may hold, 0 for as many as there are. Only told as a metric, for an alert.")
	fs.StringVar(&o.StorageAddr, "storage-addr", env("STORAGE_ADDRESS", ":9090"), "The address that serves artifacts.")
	fs.StringVar(&o.StorageAdvAddr, "storage-adv-addr", env("STORAGE_ADV_ADDR", ""), "The host that the URLs of artifacts name; by default that of --storage-addr.")
	fs.DurationVar(&o.RetentionTTL, "artifact-retention-ttl", time.Minute, "How long an artifact is kept after it was replaced.")
	fs.IntVar(&o.RetentionRecords, "artifact-retention-records", 2, "How many artifacts of one object are kept at most.")
	fs.StringVar(&o.Digest, "artifact-digest-algo", "sha256", "The digest of artifacts: sha256, sha384 or sha512.")
	fs.Int64Var(&o.ArtifactMaxSize, "artifact-max-size", 512<<20, "How many bytes the files of one artifact may have in total, before compression.")
	fs.StringVar(&o.GitCachePath, "git-cache-path", "", "The directory for fetched Git objects, by default "+objectsDir+" below --storage-path. It may be emptied at any time.")
	fs.Int64Var(&o.GitCacheSize, "git-cache-size", 2<<30, "How many bytes of Git objects are kept.")
	fs.Int64Var(&o.GitMaxTransfer, "git-max-transfer-size", 1<<30, "How many bytes one fetch from a Git server may transfer.")
	fs.StringSliceVar(&o.SSHKexAlgos, "ssh-kex-algos", nil, "The key exchange algorithms to offer in SSH, instead of Go's defaults.")
	fs.StringSliceVar(&o.SSHHostKeyAlgos, "ssh-hostkey-algos", nil, "The host key algorithms to accept in SSH, instead of those that known_hosts implies.")
	fs.BoolVar(&o.AllowLocalSources, "allow-local-sources", false, "Allow sources at loopback addresses and at the API server's.")
	fs.BoolVar(&o.Mirror, "mirror-artifacts", true, "With leader election, copy the artifacts of the leader while another replica leads, to serve them at once when this one does.")
	fs.StringVar(&o.DefaultServiceAccount, "default-service-account", "", "The service account, in the namespace of each object, whose image pull secrets are used for OCIRepositories that name neither a Secret nor a service account.")
	o.Moot(fs, map[string]string{
		"token-cache-max-size":     "identities of clouds are not built yet",
		"token-cache-max-duration": "identities of clouds are not built yet",
	})
	fs.DurationVar(&o.RequeueDependency, "requeue-dependency", 30*time.Second, "When a HelmChart looks again for the artifact of its source. An artifact that appears wakes it at once.")
	o.Helm.Bind(fs)
	o.Pod, o.PodNamespace = os.Getenv("POD_NAME"), env("POD_NAMESPACE", o.Namespace)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate(), o.Helm.Validate()}
	for flag, value := range map[string]int64{
		"--artifact-retention-records": int64(o.RetentionRecords),
		"--artifact-max-size":          o.ArtifactMaxSize,
		"--git-cache-size":             o.GitCacheSize,
		"--git-max-transfer-size":      o.GitMaxTransfer,
	} {
		if value < 1 {
			errs = append(errs, fmt.Errorf("%s must be at least 1, got %d", flag, value))
		}
	}
	if o.StorageSizeLimit < 0 {
		errs = append(errs, fmt.Errorf("--storage-size-limit must be at least 0, got %d", o.StorageSizeLimit))
	}
	if _, err := o.host(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// host is what the URLs of artifacts begin with.
func (o *Options) host() (string, error) {
	if o.StorageAdvAddr != "" {
		return o.StorageAdvAddr, nil
	}
	host, port, err := net.SplitHostPort(o.StorageAddr)
	if err != nil {
		return "", fmt.Errorf("--storage-addr %q is not host:port", o.StorageAddr)
	}
	switch host {
	case "":
		host = "localhost"
	case "0.0.0.0", "::":
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("find a host name for --storage-adv-addr: %w", err)
		}
	}
	return net.JoinHostPort(host, port), nil
}

// objects is the directory for fetched Git objects.
func (o *Options) objects() string {
	if o.GitCachePath != "" {
		return o.GitCachePath
	}
	return filepath.Join(o.StoragePath, objectsDir)
}
