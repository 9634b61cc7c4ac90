// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package platform runs all of Weir on one machine, for those who watch it and
// those who test it: a cluster with simulated GPUs, what bootstrap installs,
// the controllers as processes with the tokens of their own service accounts,
// and the example repository behind a Git server.
package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/images/image"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// A Platform is Weir at work on this machine. Make one with New, bring it up
// with its other methods in the order in which they stand here, or all at once
// with Start, and Stop it.
type Platform struct {
	// Cluster is there after StartCluster.
	Cluster *testkit.Cluster
	// Source, Kustomize, Helm, Quota and Image are there, and run, after StartControllers.
	Source, Kustomize, Helm, Quota, Image *Controller
	// Git is there after ServeGit or Serve.
	Git *testkit.GitServer
	// Repository and Models are there after Serve.
	Repository *Repository
	Models     *Models
	// Flags are given to every controller that is started from then on, after
	// those that it gets anyway.
	Flags []string

	// images are those of the controllers, after BuildImages.
	images []*image.Image

	// replicas are those beside the controllers above, and balancer is what
	// stands before those of gpu-quota-controller.
	replicas []*Controller
	balancer *Balancer
	// prometheus is there after StartPrometheus.
	prometheus *Prometheus

	onNode bool   // the cluster has a real node, and Weir runs there as pods
	root   string // of the checkout of Weir
	dir    string // for everything that the platform writes
	gitURL string // of the Git server, as the controllers know it
	client dynamic.Interface
	mapper meta.RESTMapper
}

// New prepares a platform. It must be called inside a checkout of Weir.
func New() (*Platform, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "weir-platform-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the platform: %w", err)
	}
	return &Platform{root: root, dir: dir}, nil
}

// Start brings up everything, with the given number of nodes, each with 8
// GPUs, and returns once the example's repository is served. Nothing is left
// of it after an error.
func Start(ctx context.Context, nodes int) (*Platform, error) {
	p, err := New()
	if err != nil {
		return nil, err
	}
	return p, p.bringUp(ctx, p.Build, func(ctx context.Context) error { return p.StartCluster(ctx, nodes) }, p.Install, p.StartControllers, p.Serve)
}

// StartBare brings up a cluster without nodes that has what bootstrap installs,
// and programs to start in it, none of which runs. Nothing is left of it after
// an error.
func StartBare(ctx context.Context, opts ...testkit.ClusterOption) (*Platform, error) {
	p, err := New()
	if err != nil {
		return nil, err
	}
	return p, p.bringUp(ctx, p.Build, func(ctx context.Context) error { return p.StartCluster(ctx, 0, opts...) }, p.Install)
}

// bringUp takes steps, and stops everything if one fails.
func (p *Platform) bringUp(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// Build compiles the controllers from the checkout into its directory bin, where
// `make build` puts them too. The go command leaves programs that are up to date
// as they are, so of several platforms that are built one after the other only
// the first takes long: the others wait for it.
func (p *Platform) Build(ctx context.Context) error {
	unlock, err := lock(p.binaries())
	if err != nil {
		return fmt.Errorf("build the controllers: %w", err)
	}
	defer unlock()
	args := []string{"build", "-o", p.binaries() + "/"}
	for _, name := range Programs() {
		args = append(args, "./"+name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the controllers: %w\n%s", err, output)
	}
	return nil
}

// StartCluster starts Kubernetes with the given number of simulated nodes,
// each with 8 GPUs, and whatever else the options ask for.
func (p *Platform) StartCluster(ctx context.Context, nodes int, opts ...testkit.ClusterOption) error {
	var err error
	if p.Cluster, err = testkit.StartCluster(ctx, append([]testkit.ClusterOption{testkit.WithGPUNodes(nodes)}, opts...)...); err != nil {
		return err
	}
	if p.client, err = dynamic.NewForConfig(p.Cluster.Config()); err != nil {
		return fmt.Errorf("make a client for the cluster: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(p.Cluster.Config())
	if err != nil {
		return fmt.Errorf("make a client for the cluster: %w", err)
	}
	p.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))
	return nil
}

// Install applies bootstrap as its README says, and returns once the API
// server serves the kinds. The Deployments in it get simulated pods, which do
// nothing; StartControllers starts what works.
func (p *Platform) Install(ctx context.Context) error {
	_, err := p.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", p.Bootstrap())
	if err != nil {
		return err
	}
	_, err = p.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s",
		"crd/gitrepositories.source.toolkit.fluxcd.io", "crd/kustomizations.kustomize.toolkit.fluxcd.io", "crd/"+quotav1.GPUQuotaCRD,
		"crd/imageupdateautomations.image.toolkit.fluxcd.io")
	return err
}

// Connect applies the objects that tie an environment of the example to the
// cluster, from the working copy, as the example's README says, and creates the
// Secrets beside them.
func (p *Platform) Connect(ctx context.Context) error {
	if _, err := p.Kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(p.Repository.Dir, "infra", Environment, "weir")); err != nil {
		return err
	}
	return p.createModelSecrets(ctx)
}

// Bootstrap is the directory of the overlay that installs Weir.
func (p *Platform) Bootstrap() string {
	return filepath.Join(p.root, "bootstrap")
}

// Root is the directory of the checkout.
func (p *Platform) Root() string { return p.root }

// binaries is where the controllers are built.
func (p *Platform) binaries() string { return filepath.Join(p.root, "bin") }

// Dir is for files of the caller; it is gone after Stop.
func (p *Platform) Dir() string { return p.dir }

// Kubectl runs the cluster's kubectl as the administrator and returns what it
// printed. An error holds what it complained of.
func (p *Platform) Kubectl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Cluster.Assets(), "kubectl"), args...)
	cmd.Env = environment("KUBECONFIG=" + p.Cluster.Kubeconfig())
	return output(cmd, "kubectl", args)
}

// Stop ends the controllers, the servers and the cluster, as far as there are
// any, and removes all files. That a controller had ended by itself is an
// error.
func (p *Platform) Stop(ctx context.Context) error {
	var errs []error
	for _, c := range p.Controllers() {
		errs = append(errs, c.Stop())
	}
	if p.prometheus != nil {
		errs = append(errs, p.prometheus.stop())
	}
	if p.balancer != nil {
		errs = append(errs, p.balancer.Close())
	}
	if p.Git != nil {
		p.Git.Close()
	}
	if p.Models != nil {
		p.Models.registry.Close()
	}
	if p.Cluster != nil {
		errs = append(errs, p.Cluster.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

func (p *Platform) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir}, elements...)...)
}

// findRoot returns the directory of go.work at or above the working directory.
func findRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.work here or above; run inside a checkout of weir")
		}
	}
}
